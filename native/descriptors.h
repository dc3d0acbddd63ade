#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "environment.h"
#include "fd.h"

namespace linkwright {

/** Descriptors owned by a JavaScript object, and never closed on its thread. */
class Descriptors : public Napi::ObjectWrap<Descriptors>, public Resource {
 public:
  static Napi::Function Define(Napi::Env env);
  /** Empty when JavaScript cannot run any more. */
  static Napi::Value New(Environment& environment, std::vector<Fd> fds);

  explicit Descriptors(const Napi::CallbackInfo& info);
  ~Descriptors() override;
  Descriptors(const Descriptors&) = delete;
  Descriptors& operator=(const Descriptors&) = delete;

  void Shutdown() override;

 private:
  Napi::Value Fds(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value CloseOne(const Napi::CallbackInfo& info);
  Napi::Value Adopt(const Napi::CallbackInfo& info);
  Napi::Value Release(const Napi::CallbackInfo& info);

  void Own(std::vector<Fd> fds);
  std::vector<Fd> Disown();
  Napi::Value CloseElsewhere(std::vector<Fd> fds);

  std::shared_ptr<Environment> environment_;
  std::vector<Fd> fds_;
};

}  // namespace linkwright
