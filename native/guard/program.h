#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../fd.h"

namespace linkwright::guard {

/** One operation of the way back. All of them may be carried out again and again, whatever was done already.
 */
struct Operation {
  enum class Kind : uint8_t { kNetlink = 1, kWrite = 2, kSignal = 3, kPause = 4 };

  Kind kind = Kind::kNetlink;
  /** Netlink: all messages in one datagram. */
  bool atomic = false;
  /** Whatever fails is no failure. */
  bool best_effort = false;
  /** Netlink protocol, number of a signal, or milliseconds to wait. */
  int number = 0;
  /** Positive errnos that say that it is so already. */
  std::vector<int> settled;
  /** Of a file. */
  std::string path;
  /** Whole netlink messages, each padded; what to write. */
  std::vector<uint8_t> bytes;
  /** Of a process. It was opened when the program came, so its number may be another's by now. */
  std::shared_ptr<Fd> process;
};

using Program = std::vector<Operation>;

/** What the parent laid out in lib/host/guard-program.ts. False when it is cut off or malformed. */
bool ParseProgram(const uint8_t* data, size_t length, Program& program);

}  // namespace linkwright::guard
