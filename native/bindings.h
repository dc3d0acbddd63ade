#pragma once

#include <napi.h>

#include <memory>

#include "environment.h"

namespace linkwright {

// Each file with functions for JavaScript adds them to the addon's exports.
void RegisterChildProcess(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterDescriptors(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterFileLock(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterFrameQueue(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterForward(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterHolders(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterListener(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterMacvtap(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterNetlinkSocket(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterNetns(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterOffload(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterPoller(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterSocketPorts(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterTun(const std::shared_ptr<Environment>& environment, Napi::Object exports);
void RegisterUnixSocket(const std::shared_ptr<Environment>& environment, Napi::Object exports);

/** Adds a function under its name. */
template <Napi::Value (*function)(const Napi::CallbackInfo&)>
void Export(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<function>(exports.Env(), name));
}

}  // namespace linkwright
