#pragma once

#include <napi.h>
#include <uv.h>

#include <memory>

#include "child.h"
#include "environment.h"
#include "uv_block.h"

namespace linkwright {

/** A process for JavaScript: its end is awaited on the environment's event loop. */
class ChildProcess : public Napi::ObjectWrap<ChildProcess>, public Resource {
 public:
  static Napi::Function Define(Napi::Env env);
  /** Empty when JavaScript cannot run any more: the process is killed then. */
  static Napi::Value New(Environment& environment, Child child, bool kill_at_end);

  explicit ChildProcess(const Napi::CallbackInfo& info);
  ~ChildProcess() override;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  void Shutdown() override;

 private:
  Napi::Value Pid(const Napi::CallbackInfo& info);
  Napi::Value Watch(const Napi::CallbackInfo& info);
  Napi::Value Kill(const Napi::CallbackInfo& info);
  Napi::Value RefLoop(const Napi::CallbackInfo& info);
  Napi::Value UnrefLoop(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  void OnReadable();
  void Unwatch();

  std::shared_ptr<Environment> environment_;
  // Before the handle, which watches its descriptor: members are destroyed in reverse order.
  Child child_;
  UvHandle<uv_poll_t> handle_;
  Napi::FunctionReference callback_;
  bool kill_at_end_ = false;
};

}  // namespace linkwright
