#include "child_process.h"

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "bindings.h"
#include "netns.h"

namespace linkwright {
namespace {

/** A child that nobody has heard of yet: killed, should its environment end before somebody does. */
class Unannounced {
 public:
  Unannounced() = default;
  explicit Unannounced(Child child) : child_(std::move(child)) {}
  Unannounced(Unannounced&&) = default;
  Unannounced& operator=(Unannounced&&) = default;
  Unannounced(const Unannounced&) = delete;
  Unannounced& operator=(const Unannounced&) = delete;
  ~Unannounced() {
    if (child_) child_.Signal(SIGKILL);
  }

  Child Announce() { return std::move(child_); }

 private:
  Child child_;
};

std::vector<std::string> Names(Arguments& arguments, const Napi::Value& value, const char* name) {
  const Napi::Array array = arguments.Array(value, name);
  std::vector<std::string> names;
  for (uint32_t i = 0; !arguments.Failed() && i < array.Length(); ++i)
    names.push_back(arguments.Name(array.Get(i), name));
  return names;
}

/** Duplicates, which the caller need not keep open. */
std::vector<Fd> Stdio(Arguments& arguments, Napi::Env env, const Napi::Value& value) {
  const Napi::Array array = arguments.Array(value, "stdio");
  std::vector<Fd> fds;
  for (uint32_t i = 0; !arguments.Failed() && i < array.Length(); ++i) {
    const auto number = static_cast<int>(arguments.Integer(array.Get(i), "stdio", -1, INT32_MAX));
    fds.push_back(number < 0 ? Fd() : Fd::Duplicate(number));
    if (number >= 0 && !fds.back() && !arguments.Failed())
      SystemError(env, LastFailure("fcntl(F_DUPFD_CLOEXEC)")).ThrowAsJavaScriptException();
  }
  return fds;
}

Napi::Value SpawnChild(const Napi::CallbackInfo& info) {
  const auto environment = Environment::Of(info.Env());
  Arguments arguments(info.Env());
  const Napi::Object from = arguments.Object(info[0], "options");
  auto options = std::make_shared<SpawnOptions>();
  const int number = arguments.Int(from.Get("netns"), "netns");
  options->file = arguments.Name(from.Get("file"), "file");
  options->arguments = Names(arguments, from.Get("arguments"), "arguments");
  options->environment = Names(arguments, from.Get("environment"), "environment");
  options->directory = arguments.Name(from.Get("directory"), "directory");
  options->stdio = Stdio(arguments, info.Env(), from.Get("stdio"));
  const bool kill_at_end = arguments.Bool(from.Get("killAtEnd"), "killAtEnd");
  if (arguments.Failed()) return {};
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  return environment->Async(
      [netns, options]() -> Result<Unannounced> {
        if (!*netns) return netns->failure;
        Result<Child> child = netns->value.Run([&] { return Child::Spawn(std::move(*options)); });
        if (!child) return child.failure;
        return Unannounced(std::move(child.value));
      },
      [environment = environment.get(), kill_at_end](Unannounced child) {
        return ChildProcess::New(*environment, child.Announce(), kill_at_end);
      });
}

Napi::Value OpenProcess(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const auto pid = static_cast<pid_t>(arguments.Integer(info[0], "pid", 1, INT32_MAX));
  if (arguments.Failed()) return {};
  Result<Child> process = Child::Open(pid);
  if (!process) {
    SystemError(info.Env(), process.failure).ThrowAsJavaScriptException();
    return {};
  }
  return ChildProcess::New(*Environment::Of(info.Env()), std::move(process.value), false);
}

Napi::Value NumberOrNull(Napi::Env env, const std::optional<int>& number) {
  return number ? Napi::Number::New(env, *number).As<Napi::Value>() : env.Null();
}

}  // namespace

Napi::Function ChildProcess::Define(Napi::Env env) {
  return DefineClass(env, "ChildProcess",
                     {
                         InstanceAccessor<&ChildProcess::Pid>("pid"),
                         InstanceMethod<&ChildProcess::Watch>("watch"),
                         InstanceMethod<&ChildProcess::Kill>("kill"),
                         InstanceMethod<&ChildProcess::RefLoop>("ref"),
                         InstanceMethod<&ChildProcess::UnrefLoop>("unref"),
                         InstanceMethod<&ChildProcess::Close>("close"),
                     });
}

Napi::Value ChildProcess::New(Environment& environment, Child child, bool kill_at_end) {
  const Napi::Object object = environment.classes.child_process.New({});
  // Both fail in an environment that is being terminated.
  ChildProcess* const self = object.IsEmpty() ? nullptr : Unwrap(object);
  if (self == nullptr) {
    const Unannounced killed(std::move(child));
    return {};
  }
  self->child_ = std::move(child);
  self->kill_at_end_ = kill_at_end;
  return object;
}

ChildProcess::ChildProcess(const Napi::CallbackInfo& info)
    : ObjectWrap(info), environment_(Environment::Of(info.Env())) {
  environment_->Add(this);
}

ChildProcess::~ChildProcess() {
  Shutdown();
  environment_->Remove(this);
}

void ChildProcess::Shutdown() {
  handle_.reset();
  if (child_ && kill_at_end_) child_.Signal(SIGKILL);
  child_.Leave();
}

Napi::Value ChildProcess::Pid(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), child_.pid());
}

Napi::Value ChildProcess::Watch(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const Napi::Function callback = arguments.Function(info[0], "callback");
  if (handle_ || !child_) arguments.Reject("it is watched, or let go of");
  if (arguments.Failed()) return {};
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(info.Env(), &loop);
  int error = OpenUvHandle<uv_poll_t>(
      environment_->handles(), this,
      [this, loop](uv_poll_t* handle) { return uv_poll_init(loop, handle, child_.fd()); }, &handle_);
  if (error == 0) {
    error =
        uv_poll_start(&handle_->handle, UV_READABLE, [](uv_poll_t* handle, int /*status*/, int /*events*/) {
          auto* const block = static_cast<UvBlock<uv_poll_t>*>(handle->data);
          if (block->owner != nullptr) static_cast<ChildProcess*>(block->owner)->OnReadable();
        });
  }
  if (error != 0) {
    handle_.reset();
    SystemError(info.Env(), {-error, "uv_poll_start"}).ThrowAsJavaScriptException();
    return {};
  }
  callback_ = Napi::Persistent(callback);
  // Whoever waits for its end need not hold on to it as well.
  Ref();
  return info.Env().Undefined();
}

void ChildProcess::OnReadable() {
  const std::optional<ExitStatus> status = child_.Reap();
  if (!status) return;
  const Napi::Env env = environment_->env();
  const Napi::HandleScope scope(env);
  const Napi::Value self = Value();
  const Napi::Function callback = callback_.Value();
  Unwatch();
  child_.Leave();
  callback.MakeCallback(self, {NumberOrNull(env, status->code), NumberOrNull(env, status->signal)},
                        environment_->async_context());
  if (env.IsExceptionPending()) {
    // As an exception in any other event handler: 'uncaughtException', or the end of the process.
    napi_fatal_exception(env, env.GetAndClearPendingException().Value());
  }
}

void ChildProcess::Unwatch() {
  if (!handle_) return;
  handle_.reset();
  callback_.Reset();
  Unref();
}

Napi::Value ChildProcess::Kill(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const auto signal = static_cast<int>(arguments.Integer(info[0], "signal", 0, NSIG - 1));
  if (arguments.Failed()) return {};
  const Failure failure = child_.Signal(signal);
  if (failure && failure.error != ESRCH) {
    SystemError(info.Env(), failure).ThrowAsJavaScriptException();
    return {};
  }
  return Napi::Boolean::New(info.Env(), !failure);
}

Napi::Value ChildProcess::RefLoop(const Napi::CallbackInfo& info) {
  if (handle_) uv_ref(reinterpret_cast<uv_handle_t*>(&handle_->handle));
  return info.Env().Undefined();
}

Napi::Value ChildProcess::UnrefLoop(const Napi::CallbackInfo& info) {
  if (handle_) uv_unref(reinterpret_cast<uv_handle_t*>(&handle_->handle));
  return info.Env().Undefined();
}

Napi::Value ChildProcess::Close(const Napi::CallbackInfo& info) {
  Unwatch();
  child_.Leave();
  return info.Env().Undefined();
}

void RegisterChildProcess(const std::shared_ptr<Environment>& environment, Napi::Object exports) {
  environment->classes.child_process = Napi::Persistent(ChildProcess::Define(environment->env()));
  Export<OpenProcess>(exports, "openProcess");
  Export<SpawnChild>(exports, "spawnChild");
}

}  // namespace linkwright
