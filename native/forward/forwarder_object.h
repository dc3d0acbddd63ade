#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "environment.h"
#include "forward/forwarder.h"
#include "forward/port_object.h"
#include "forward/switch.h"

namespace linkwright {

/** A forwarder as JavaScript has it: starts it, changes it, and hears of its ports. */
class ForwarderObject : public Napi::ObjectWrap<ForwarderObject>, public Resource {
 public:
  static Napi::Function Define(Napi::Env env);
  /** (options, callback): see NativeForwarder in lib/addon/forward.ts. */
  static Napi::Value Create(const Napi::CallbackInfo& info);

  explicit ForwarderObject(const Napi::CallbackInfo& info);
  ~ForwarderObject() override;
  ForwarderObject(const ForwarderObject&) = delete;
  ForwarderObject& operator=(const ForwarderObject&) = delete;

  void Shutdown() override;

 private:
  /** Leads from threads to the object, as long as there is one. */
  struct Link {
    ForwarderObject* object = nullptr;
  };
  /** What JavaScript gave for a port, and must not be collected meanwhile. */
  struct Held {
    PortObject* object;
    Napi::ObjectReference port;
    Napi::Reference<Napi::Value> counters;
    std::shared_ptr<Mirror> mirror;
    /** What was taken from the mirror. */
    Mirror::Page page;
  };

  Napi::Value AddPort(const Napi::CallbackInfo& info);
  Napi::Value SetPorts(const Napi::CallbackInfo& info);
  Napi::Value SetMirror(const Napi::CallbackInfo& info);
  Napi::Value TakeMirrored(const Napi::CallbackInfo& info);
  Napi::Value RemovePort(const Napi::CallbackInfo& info);
  Napi::Value Table(const Napi::CallbackInfo& info);
  Napi::Value Fix(const Napi::CallbackInfo& info);
  Napi::Value Forget(const Napi::CallbackInfo& info);
  Napi::Value Flush(const Napi::CallbackInfo& info);
  Napi::Value SetAgeing(const Napi::CallbackInfo& info);
  Napi::Value RefLoop(const Napi::CallbackInfo& info);
  Napi::Value UnrefLoop(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  void OnPort(uint32_t id, PortEvent event, int error);
  /** Has the last copies taken that a port's mirror holds. */
  void ShowLast(uint32_t id);
  void ShowLast();
  void Release(uint32_t id);
  void ReleaseAll();
  void Stop();
  void KeepAlive(bool keep_alive);

  std::shared_ptr<Environment> environment_;
  std::shared_ptr<Link> link_ = std::make_shared<Link>();
  std::shared_ptr<Forwarder> forwarder_;
  /** Of the forwarder's rules, if they are those of a switch. */
  SwitchRules* switch_ = nullptr;
  Napi::FunctionReference callback_;
  std::unordered_map<uint32_t, Held> held_;
  bool keeping_alive_ = false;
};

}  // namespace linkwright
