#include "environment.h"

#include <cstdlib>
#include <vector>

namespace linkwright {

std::shared_ptr<Environment> Environment::Install(Napi::Env env) {
  auto environment = std::make_shared<Environment>(env);
  if (!environment->Open()) return nullptr;
  env.SetInstanceData(new std::shared_ptr<Environment>(environment));
  return environment;
}

std::shared_ptr<Environment> Environment::Of(Napi::Env env) {
  return *env.GetInstanceData<std::shared_ptr<Environment>>();
}

bool Environment::Open() {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env_, &loop) != napi_ok) return false;
  const auto init = [loop](uv_async_t* handle) {
    return uv_async_init(loop, handle, [](uv_async_t* async) {
      auto* block = static_cast<UvBlock<uv_async_t>*>(async->data);
      if (block->owner != nullptr) static_cast<Environment*>(block->owner)->Drain();
    });
  };
  if (OpenUvHandle<uv_async_t>(handles_, this, init, &wakeup_) != 0) return false;
  uv_async_t* const async = &wakeup_->handle;
  uv_unref(reinterpret_cast<uv_handle_t*>(async));
  engine_ = std::make_shared<Engine>([async] { uv_async_send(async); });
  async_context_ = std::make_unique<Napi::AsyncContext>(env_, "linkwright");
  return napi_add_async_cleanup_hook(env_, OnCleanup, this, nullptr) == napi_ok;
}

void Environment::Begin(bool keep_alive) {
  ++pending_;
  if (keep_alive && ++keeping_alive_ == 1 && wakeup_)
    uv_ref(reinterpret_cast<uv_handle_t*>(&wakeup_->handle));
}

void Environment::End(bool keep_alive) {
  --pending_;
  if (keep_alive && --keeping_alive_ == 0 && wakeup_)
    uv_unref(reinterpret_cast<uv_handle_t*>(&wakeup_->handle));
}

void Environment::Drain() {
  const Napi::HandleScope scope(env_);
  // Closing the callback scope runs the microtasks: whoever awaits goes on before libuv does.
  const Napi::CallbackScope callback_scope(env_, *async_context_);
  for (const Engine::Delivery& delivery : engine_->TakeDeliveries()) {
    const Napi::HandleScope each(env_);
    delivery();
  }
}

void Environment::OnCleanup(napi_async_cleanup_hook_handle hook, void* self) {
  static_cast<Environment*>(self)->Shutdown(hook);
}

void Environment::Shutdown(napi_async_cleanup_hook_handle hook) {
  const std::vector<Resource*> resources(resources_.begin(), resources_.end());
  for (Resource* resource : resources)
    resource->Shutdown();
  // From here on no thread touches this environment; those that are stuck in the kernel end when they can.
  engine_->Close();
  async_context_.reset();
  // The environment ends with the last of its handles: libuv must have let go of them before the loop is
  // closed.
  handles_->when_none = [hook] { napi_remove_async_cleanup_hook(hook); };
  wakeup_.reset();
}

}  // namespace linkwright
