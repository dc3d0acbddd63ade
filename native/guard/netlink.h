#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "../fd.h"

namespace linkwright::guard {

/** Netlink sockets of the guard's namespace, one a protocol, that are asked one thing after the other. */
class Netlink {
 public:
  /** Opens the socket of a protocol now, not when everything is on fire: 0 or an errno. */
  int Prepare(int protocol);

  /** Whether the kernel would take changes of links, addresses and routes from here: 0, EPERM or another
   * errno. */
  int MayChange();

  /**
   * Sends whole messages and waits for what the kernel says to them: 0 or the first errno that is not among
   * the settled. Each is sent by itself, and one that fails does not keep the others; atomic ones go in one
   * datagram.
   */
  int Run(int protocol, bool atomic, std::vector<uint8_t>& messages, const std::vector<int>& settled);

  /** Waits until a link is operationally up: 0, ENODEV, or ETIMEDOUT after so many milliseconds. */
  int AwaitUp(int index, int milliseconds);

  /** Waits until a link has so many local routes of IPv6: 0 or an errno. */
  int AwaitLocal(int index, size_t count, int milliseconds);

 private:
  int RunEach(const Fd& socket, std::vector<uint8_t>& messages, const std::vector<int>& settled);
  int RunTogether(const Fd& socket, std::vector<uint8_t>& messages, const std::vector<int>& settled);
  /** 1 for a link that is operationally up, 0 for another one, else a negative errno. */
  int IsUp(const Fd& socket, int index);
  /** How many local routes of IPv6 a link has, or a negative errno. */
  int CountLocal(const Fd& socket, int index);
  int Await(const Fd& socket, size_t answers, const std::vector<int>& settled);

  bool may_change_ = false;
  std::map<int, Fd> sockets_;
  uint32_t sequence_ = 1;
};

}  // namespace linkwright::guard
