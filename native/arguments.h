#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace linkwright {

struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;
};

/** Checks and converts arguments. The first that is wrong throws a TypeError; the rest then only yield empty
 * values. */
class Arguments {
 public:
  explicit Arguments(Napi::Env env) : env_(env) {}

  int32_t Int(const Napi::Value& value, const char* name);
  /** An integer that fits both int32 and uint32 callers, such as a uid. */
  int64_t Integer(const Napi::Value& value, const char* name, int64_t smallest, int64_t largest);
  bool Bool(const Napi::Value& value, const char* name);
  std::string String(const Napi::Value& value, const char* name);
  /** A string without NUL, at which the kernel would stop reading. */
  std::string Name(const Napi::Value& value, const char* name);
  /** A Uint8Array's memory, valid until JavaScript runs again. */
  Bytes Uint8Array(const Napi::Value& value, const char* name);
  /** Integers from 0. */
  std::vector<int> Integers(const Napi::Value& value, const char* name);
  Napi::Object Object(const Napi::Value& value, const char* name);
  Napi::Array Array(const Napi::Value& value, const char* name);
  Napi::Function Function(const Napi::Value& value, const char* name);

  void Reject(const std::string& message, const char* code = "ERR_INVALID_ARG_VALUE");
  /** Whether one was wrong, or reading it threw. */
  bool Failed() const { return failed_ || env_.IsExceptionPending(); }

 private:
  bool Expect(bool right, const char* name, const char* type);

  Napi::Env env_;
  bool failed_ = false;
};

}  // namespace linkwright
