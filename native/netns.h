#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "fd.h"
#include "result.h"

namespace linkwright {

/**
 * A network namespace to do something in. A thread's namespace is its own, so it is entered by a thread that
 * lives for nothing else; neither the JavaScript thread nor those of a pool ever move.
 */
class Netns {
 public:
  /** @param number a descriptor, which is duplicated; -1 for that of the process; -2 for a new one */
  static Result<Netns> FromNumber(int number);

  /** Runs something that returns a Result in the namespace, and blocks until it is done. */
  template <typename Work>
  auto Run(Work&& work) const -> decltype(work()) {
    decltype(work()) result;
    Failure failure = Enter([&] { result = work(); });
    if (failure) return failure;
    return result;
  }

 private:
  enum class Kind { kProcess, kNew, kDescriptor };

  Failure Enter(const std::function<void()>& work) const;

  Kind kind_ = Kind::kProcess;
  Fd fd_;
};

/** A number of the namespace of a socket that no other gets until the next boot; 0 before Linux 5.14. */
uint64_t NetnsCookie(int socket);

/** The namespace that a socket lives in; that of the process for -1. */
Result<Fd> OpenNetns(int socket);

/** Reads or writes a file below /proc/sys/net in the calling thread's namespace. */
Result<std::string> ReadSysctl(const std::string& path);
Result<Nothing> WriteSysctl(const std::string& path, const std::string& value);

/** Takes IPv6 from a link of the calling thread's namespace. */
Failure DisableIpv6(const std::string& name);
/** The same by the ifindex, whatever the link is renamed to meanwhile; `socket` is one of that namespace. */
Failure DisableIpv6(const Fd& socket, int index);

}  // namespace linkwright
