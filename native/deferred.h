#pragma once

#include <napi.h>

#include "error.h"

namespace linkwright {

/**
 * A promise to be settled later. Unlike Napi::Promise::Deferred it is defined in an environment that is being
 * terminated: there is no promise then, and settling it does nothing.
 */
class Deferred {
 public:
  explicit Deferred(Napi::Env env) : env_(env) {
    napi_value promise = nullptr;
    if (napi_create_promise(env, &deferred_, &promise) != napi_ok) return;
    promise_ = promise;
  }

  /** Only valid in the call that made it. Empty when there is none. */
  Napi::Value Promise() const { return {env_, promise_}; }
  explicit operator bool() const { return promise_ != nullptr; }

  void Resolve(const Napi::Value& value) const {
    if (promise_ != nullptr && !value.IsEmpty()) napi_resolve_deferred(env_, deferred_, value);
  }
  void Reject(const Failure& failure) const {
    if (promise_ != nullptr) napi_reject_deferred(env_, deferred_, SystemError(env_, failure).Value());
  }

 private:
  Napi::Env env_;
  napi_deferred deferred_ = nullptr;
  napi_value promise_ = nullptr;
};

}  // namespace linkwright
