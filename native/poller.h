#pragma once

#include <napi.h>
#include <uv.h>

#include <memory>

#include "environment.h"
#include "uv_block.h"

namespace linkwright {

/** Watches a descriptor on the environment's event loop. */
class Poller : public Napi::ObjectWrap<Poller>, public Resource {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Value New(Environment& environment, int fd, const Napi::Function& callback);

  explicit Poller(const Napi::CallbackInfo& info);
  ~Poller() override;
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  void Shutdown() override;

 private:
  Napi::Value Poll(const Napi::CallbackInfo& info);
  Napi::Value RefLoop(const Napi::CallbackInfo& info);
  Napi::Value UnrefLoop(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  void OnEvent(int status, int events);
  void SetPolling(bool polling);

  std::shared_ptr<Environment> environment_;
  UvHandle<uv_poll_t> handle_;
  Napi::FunctionReference callback_;
  bool polling_ = false;
};

}  // namespace linkwright
