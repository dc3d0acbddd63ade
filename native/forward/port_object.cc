#include "forward/port_object.h"

#include <utility>

#include "bindings.h"
#include "thread.h"

namespace linkwright {
namespace {

constexpr napi_type_tag kTypeTag = {0x6c696e6b77726967, 0x68742e706f727401};

}  // namespace

Napi::Function PortObject::Define(Napi::Env env) {
  return DefineClass(env, "Port",
                     {
                         InstanceAccessor<&PortObject::LayerName>("layer"),
                         InstanceAccessor<&PortObject::CountQueues>("queues"),
                         InstanceMethod<&PortObject::Check>("check"),
                         InstanceMethod<&PortObject::Close>("close"),
                     });
}

Napi::Value PortObject::New(Environment& environment, std::shared_ptr<Port> port) {
  const Napi::Object object = environment.classes.port.New({});
  // Both fail in an environment that is being terminated.
  PortObject* const self = object.IsEmpty() ? nullptr : Unwrap(object);
  if (self == nullptr) {
    StartThread([port = std::move(port)] {});
    return {};
  }
  self->port_ = std::move(port);
  return object;
}

PortObject* PortObject::From(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTypeTag)) {
    ArgumentError(value.Env(), "\"port\" must be a port").ThrowAsJavaScriptException();
    return nullptr;
  }
  return Unwrap(value.As<Napi::Object>());
}

PortObject::PortObject(const Napi::CallbackInfo& info)
    : ObjectWrap(info), environment_(Environment::Of(info.Env())) {
  info.This().As<Napi::Object>().TypeTag(&kTypeTag);
  environment_->Add(this);
}

PortObject::~PortObject() {
  Shutdown();
  environment_->Remove(this);
}

void PortObject::Shutdown() {
  // Its end may wait in the kernel. Where there is no thread left it ends here: the only other choice is to
  // leak it.
  if (port_ != nullptr) StartThread([port = std::move(port_)] {});
}

Napi::Value PortObject::LayerName(const Napi::CallbackInfo& info) {
  if (port_ == nullptr) return info.Env().Undefined();
  return Napi::String::New(info.Env(), port_->layer() == Layer::kIp ? "ip" : "ethernet");
}

Napi::Value PortObject::CountQueues(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), port_ == nullptr ? 0 : static_cast<double>(port_->queues().size()));
}

Napi::Value PortObject::Check(const Napi::CallbackInfo& info) {
  return environment_->Async(
      [port = port_]() -> Result<int> { return port == nullptr ? EBADF : port->Check(); },
      [env = info.Env()](int error) { return Napi::Number::New(env, -error); });
}

Napi::Value PortObject::Close(const Napi::CallbackInfo& info) {
  auto port = std::make_shared<std::shared_ptr<Port>>(std::move(port_));
  port_ = nullptr;
  return environment_->Async(
      [port]() -> Result<Nothing> {
        port->reset();
        return Nothing{};
      },
      [env = info.Env()](Nothing) { return env.Undefined(); });
}

}  // namespace linkwright
