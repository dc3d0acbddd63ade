#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace linkwright::guard {

/** One operation of the way back. All of them may be carried out again and again, whatever was done already.
 */
struct Operation {
  enum class Kind : uint8_t {
    kNetlink = 1,
    kWrite = 2,
    kSignal = 3,
    kAwait = 4,
    kStop = 5,
    kRemove = 6,
    kAwaitLocal = 7
  };

  Kind kind = Kind::kNetlink;
  /** Netlink: all messages in one datagram. */
  bool atomic = false;
  /** Whatever fails is no failure. */
  bool best_effort = false;
  /** Netlink protocol, number of a signal, or milliseconds to wait. */
  int number = 0;
  /** Positive errnos that say that it is so already. */
  std::vector<int> settled;
  /** Of a file; of a program to stop, its name. */
  std::string path;
  /** Whole netlink messages, each padded; what to write; the argument of a program to stop. */
  std::vector<uint8_t> bytes;
  /** Of a link or process. */
  int id = 0;
  /** When a process started, since the number may be another's by now; how many routes to wait for. */
  uint64_t large = 0;
};

using Program = std::vector<Operation>;

/** What the parent laid out in lib/host/way-back.ts. False when it is cut off or malformed. */
bool ParseProgram(const uint8_t* data, size_t length, Program& program);

}  // namespace linkwright::guard
