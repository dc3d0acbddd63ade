#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "netns.h"
#include "result.h"

namespace linkwright {

/** Links of one network namespace, to be looked for among the descriptors of all processes. */
struct HolderQuery {
  struct Macvtap {
    std::string name;
    unsigned int index = 0;
    std::array<uint8_t, 6> address{};
  };

  /** TUNs and TAPs. */
  std::vector<std::string> names;
  std::vector<Macvtap> macvtaps;
  /** Descriptors of this process that do not count. */
  std::vector<int> excluded;
};

struct HolderScan {
  struct Process {
    pid_t pid = 0;
    std::string command;
  };
  struct Holding {
    /** Position among the names, and behind them the macvtaps, of the query. */
    size_t link = 0;
    size_t process = 0;
  };

  std::vector<Process> processes;
  std::vector<Holding> holdings;
  /** Positions of macvtaps whose device number is not to be had. */
  std::vector<size_t> unknown;
  /** Descriptors of whatever kind in messages that nobody has received yet (SCM_RIGHTS). */
  size_t in_flight = 0;
  /** Some process could not be looked at. */
  bool incomplete = false;
};

/** Which processes have the links' devices open. Blocks for some 10 us a descriptor in the system. */
Result<HolderScan> FindHolders(const Netns& netns, const HolderQuery& query);

}  // namespace linkwright
