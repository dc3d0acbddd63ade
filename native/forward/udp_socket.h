#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "fd.h"
#include "result.h"

namespace linkwright {

/** An IP address and a port, as system calls take them. */
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  bool ipv6() const { return family() == AF_INET6; }
};

/** As people write them: `192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`; empty for any address. */
struct Endpoint {
  std::string address;
  uint16_t port = 0;
};

struct UdpOptions {
  Endpoint local;
  Endpoint remote;
  /** Whether only the remote's datagrams reach the socket. */
  bool connected = true;
  /** Whether datagrams above the path's MTU are sent in fragments (IP_PMTUDISC_DONT) instead of not at all.
   */
  bool fragment = false;
  /** Whether other sockets of this user may have the same local port. */
  bool reuse_port = false;
  /** Whether datagrams without a checksum are taken over IPv6 too, as RFC 7348 demands of tunnels. */
  bool no_checksums = false;
  int send_buffer = 0;
  int receive_buffer = 0;
};

struct UdpSocket {
  Fd fd;
  SocketAddress remote;
  /** What the kernel has bound it to. */
  Endpoint local;
  /** Bytes of the longest IP packet on the way to the remote, as far as the kernel knows. */
  int path_mtu = 0;
};

/** Opens a socket in the calling thread's namespace: non-blocking, with UDP_GRO where the kernel has it. */
Result<UdpSocket> OpenUdpSocket(const UdpOptions& options);

/** Bytes of IP and UDP headers without options. */
constexpr size_t UdpOverhead(bool ipv6) {
  return (ipv6 ? 40 : 20) + 8;
}

/** Whether the addresses are the same; the ports are left out. */
bool SameHost(const SocketAddress& one, const sockaddr* other, socklen_t length);
bool SamePort(const SocketAddress& one, const sockaddr* other);

}  // namespace linkwright
