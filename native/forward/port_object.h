#pragma once

#include <napi.h>

#include <memory>

#include "environment.h"
#include "forward/port.h"

namespace linkwright {

/** A port as JavaScript holds it: what opens ports returns one, and forwarders take it. */
class PortObject : public Napi::ObjectWrap<PortObject>, public Resource {
 public:
  static Napi::Function Define(Napi::Env env);
  /** Empty when JavaScript cannot run any more. */
  static Napi::Value New(Environment& environment, std::shared_ptr<Port> port);
  /** Null for what is no port, with an exception thrown. */
  static PortObject* From(const Napi::Value& value);

  explicit PortObject(const Napi::CallbackInfo& info);
  ~PortObject() override;
  PortObject(const PortObject&) = delete;
  PortObject& operator=(const PortObject&) = delete;

  /** Null when it is closed. */
  const std::shared_ptr<Port>& port() const { return port_; }
  /** Whether a forwarder uses it: each queue has one reader. */
  bool attached() const { return attached_; }
  void set_attached(bool attached) { attached_ = attached; }

  void Shutdown() override;

 private:
  Napi::Value LayerName(const Napi::CallbackInfo& info);
  Napi::Value CountQueues(const Napi::CallbackInfo& info);
  Napi::Value Check(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  std::shared_ptr<Environment> environment_;
  std::shared_ptr<Port> port_;
  bool attached_ = false;
};

}  // namespace linkwright
