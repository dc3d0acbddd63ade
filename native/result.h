#pragma once

#include <cerrno>
#include <string>
#include <utility>

namespace linkwright {

/** Why a system call failed: a positive errno and what was called. No failure when the errno is 0. */
struct Failure {
  int error = 0;
  std::string syscall;

  explicit operator bool() const { return error != 0; }
};

/** The failure that errno tells of right now. */
inline Failure LastFailure(std::string syscall) {
  return {errno, std::move(syscall)};
}

struct Nothing {};

/** A value, or why there is none. */
template <typename Value>
struct Result {
  Result() = default;
  // Both convert, so that functions just return what they have.
  Result(Value v) : value(std::move(v)) {}      // NOLINT(google-explicit-constructor)
  Result(Failure f) : failure(std::move(f)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return !failure; }

  Value value{};
  Failure failure;
};

}  // namespace linkwright
