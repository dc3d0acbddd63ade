#include <napi.h>

#include "bindings.h"
#include "environment.h"

namespace linkwright {
namespace {

Napi::Value Statistics(const Napi::CallbackInfo& info) {
  const auto environment = Environment::Of(info.Env());
  Napi::Object statistics = Napi::Object::New(info.Env());
  statistics.Set("threads",
                 static_cast<double>(environment->engine().threads() + environment->closer().threads()));
  statistics.Set("sockets", static_cast<double>(environment->sockets));
  statistics.Set("descriptors", static_cast<double>(environment->descriptors.size()));
  statistics.Set("pending", static_cast<double>(environment->pending()));
  return statistics;
}

}  // namespace

static Napi::Object Register(Napi::Env env, Napi::Object exports) {
  const auto environment = Environment::Install(env);
  if (environment == nullptr) {
    Napi::Error::New(env, "linkwright: this environment has no event loop").ThrowAsJavaScriptException();
    return exports;
  }
  RegisterChildProcess(environment, exports);
  RegisterDescriptors(environment, exports);
  RegisterFileLock(environment, exports);
  RegisterFrameQueue(environment, exports);
  RegisterForward(environment, exports);
  RegisterHolders(environment, exports);
  RegisterListener(environment, exports);
  RegisterMacvtap(environment, exports);
  RegisterNetlinkSocket(environment, exports);
  RegisterNetns(environment, exports);
  RegisterOffload(environment, exports);
  RegisterPoller(environment, exports);
  RegisterSocketPorts(environment, exports);
  RegisterTun(environment, exports);
  RegisterUnixSocket(environment, exports);
  Export<Statistics>(exports, "statistics");
  return exports;
}

}  // namespace linkwright

// The macro wants a name without a scope.
static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return linkwright::Register(env, exports);
}

NODE_API_MODULE(linkwright, Init)
