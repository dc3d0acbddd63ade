#include "poller.h"

#include <utility>

#include "arguments.h"
#include "bindings.h"

namespace linkwright {
namespace {

Napi::Value CreatePoller(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int fd = arguments.Int(info[0], "fd");
  const Napi::Function callback = arguments.Function(info[1], "callback");
  if (arguments.Failed()) return {};
  return Poller::New(*Environment::Of(info.Env()), fd, callback);
}

}  // namespace

Napi::Function Poller::Define(Napi::Env env) {
  return DefineClass(env, "Poller",
                     {
                         InstanceMethod<&Poller::Poll>("poll"),
                         InstanceMethod<&Poller::RefLoop>("ref"),
                         InstanceMethod<&Poller::UnrefLoop>("unref"),
                         InstanceMethod<&Poller::Close>("close"),
                     });
}

Napi::Value Poller::New(Environment& environment, int fd, const Napi::Function& callback) {
  const Napi::Env env = environment.env();
  const Napi::Object object = environment.classes.poller.New({});
  // Both fail in an environment that is being terminated.
  Poller* const poller = object.IsEmpty() ? nullptr : Unwrap(object);
  if (poller == nullptr) return {};
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  const int error = OpenUvHandle<uv_poll_t>(
      environment.handles(), poller, [loop, fd](uv_poll_t* handle) { return uv_poll_init(loop, handle, fd); },
      &poller->handle_);
  if (error != 0) {
    SystemError(env, {-error, "uv_poll_init"}).ThrowAsJavaScriptException();
    return {};
  }
  poller->callback_ = Napi::Persistent(callback);
  return object;
}

Poller::Poller(const Napi::CallbackInfo& info) : ObjectWrap(info), environment_(Environment::Of(info.Env())) {
  environment_->Add(this);
}

Poller::~Poller() {
  handle_.reset();
  environment_->Remove(this);
}

void Poller::Shutdown() {
  handle_.reset();
}

Napi::Value Poller::Poll(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const auto events = arguments.Integer(info[0], "events", 0, UV_READABLE | UV_WRITABLE);
  if (arguments.Failed()) return {};
  int error = UV_EBADF;
  if (handle_) {
    const auto on_event = [](uv_poll_t* handle, int status, int occurred) {
      auto* const block = static_cast<UvBlock<uv_poll_t>*>(handle->data);
      if (block->owner != nullptr) static_cast<Poller*>(block->owner)->OnEvent(status, occurred);
    };
    error = events == 0 ? uv_poll_stop(&handle_->handle)
                        : uv_poll_start(&handle_->handle, static_cast<int>(events), on_event);
  }
  if (error != 0) {
    SystemError(info.Env(), {-error, "uv_poll_start"}).ThrowAsJavaScriptException();
    return {};
  }
  SetPolling(events != 0);
  return info.Env().Undefined();
}

void Poller::SetPolling(bool polling) {
  if (polling_ == polling) return;
  polling_ = polling;
  // Whoever waits for an event need not hold on to the poller as well.
  if (polling) {
    Ref();
  } else {
    Unref();
  }
}

void Poller::OnEvent(int status, int events) {
  const Napi::Env env = environment_->env();
  const Napi::HandleScope scope(env);
  // Kept alive by the handle scope, even if the callback closes it.
  const Napi::Value self = Value();
  callback_.MakeCallback(self, {Napi::Number::New(env, status), Napi::Number::New(env, events)},
                         environment_->async_context());
  if (env.IsExceptionPending()) {
    // As an exception in any other event handler: 'uncaughtException', or the end of the process.
    napi_fatal_exception(env, env.GetAndClearPendingException().Value());
  }
}

Napi::Value Poller::RefLoop(const Napi::CallbackInfo& info) {
  if (handle_) uv_ref(reinterpret_cast<uv_handle_t*>(&handle_->handle));
  return info.Env().Undefined();
}

Napi::Value Poller::UnrefLoop(const Napi::CallbackInfo& info) {
  if (handle_) uv_unref(reinterpret_cast<uv_handle_t*>(&handle_->handle));
  return info.Env().Undefined();
}

Napi::Value Poller::Close(const Napi::CallbackInfo& info) {
  handle_.reset();
  callback_.Reset();
  SetPolling(false);
  return info.Env().Undefined();
}

void RegisterPoller(const std::shared_ptr<Environment>& environment, Napi::Object exports) {
  environment->classes.poller = Napi::Persistent(Poller::Define(environment->env()));
  Export<CreatePoller>(exports, "createPoller");
}

}  // namespace linkwright
