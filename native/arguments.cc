#include "arguments.h"

#include <cmath>
#include <limits>

#include "error.h"

namespace linkwright {

bool Arguments::Expect(bool right, const char* name, const char* type) {
  if (Failed()) return false;
  if (!right) Reject(std::string("\"") + name + "\" must be " + type, "ERR_INVALID_ARG_TYPE");
  return right;
}

void Arguments::Reject(const std::string& message, const char* code) {
  if (Failed()) return;
  failed_ = true;
  ArgumentError(env_, message, code).ThrowAsJavaScriptException();
}

int32_t Arguments::Int(const Napi::Value& value, const char* name) {
  using Limits = std::numeric_limits<int32_t>;
  return static_cast<int32_t>(Integer(value, name, Limits::min(), Limits::max()));
}

int64_t Arguments::Integer(const Napi::Value& value, const char* name, int64_t smallest, int64_t largest) {
  if (!Expect(value.IsNumber(), name, "an integer")) return 0;
  const double number = value.As<Napi::Number>().DoubleValue();
  const bool fits = std::trunc(number) == number && number >= static_cast<double>(smallest) &&
                    number <= static_cast<double>(largest);
  return Expect(fits, name, "an integer in range") ? static_cast<int64_t>(number) : 0;
}

bool Arguments::Bool(const Napi::Value& value, const char* name) {
  return Expect(value.IsBoolean(), name, "a boolean") && value.As<Napi::Boolean>().Value();
}

std::string Arguments::String(const Napi::Value& value, const char* name) {
  return Expect(value.IsString(), name, "a string") ? value.As<Napi::String>().Utf8Value() : "";
}

Bytes Arguments::Uint8Array(const Napi::Value& value, const char* name) {
  const bool right =
      value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
  if (!Expect(right, name, "a Uint8Array")) return {};
  auto array = value.As<Napi::Uint8Array>();
  return {array.Data(), array.ElementLength()};
}

std::string Arguments::Name(const Napi::Value& value, const char* name) {
  std::string text = String(value, name);
  if (text.find('\0') != std::string::npos) Reject(std::string("\"") + name + "\" must not contain NUL");
  return text;
}

std::vector<int> Arguments::Integers(const Napi::Value& value, const char* name) {
  const Napi::Array array = Array(value, name);
  std::vector<int> integers;
  for (uint32_t i = 0; !Failed() && i < array.Length(); ++i) {
    integers.push_back(static_cast<int>(Integer(array.Get(i), name, 0, std::numeric_limits<int32_t>::max())));
  }
  return integers;
}

Napi::Object Arguments::Object(const Napi::Value& value, const char* name) {
  return Expect(value.IsObject(), name, "an object") ? value.As<Napi::Object>() : Napi::Object::New(env_);
}

Napi::Array Arguments::Array(const Napi::Value& value, const char* name) {
  return Expect(value.IsArray(), name, "an array") ? value.As<Napi::Array>() : Napi::Array::New(env_);
}

Napi::Function Arguments::Function(const Napi::Value& value, const char* name) {
  return Expect(value.IsFunction(), name, "a function") ? value.As<Napi::Function>() : Napi::Function();
}

}  // namespace linkwright
