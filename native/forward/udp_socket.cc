#include "forward/udp_socket.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include <array>
#include <cstring>

#include "abi.h"
#include "forward/socket_port.h"

namespace linkwright {
namespace {

const sockaddr_in& V4(const sockaddr* address) {
  return *reinterpret_cast<const sockaddr_in*>(address);
}
const sockaddr_in6& V6(const sockaddr* address) {
  return *reinterpret_cast<const sockaddr_in6*>(address);
}

/** @param family of an empty address */
Result<SocketAddress> Resolve(const Endpoint& endpoint, int family) {
  SocketAddress address;
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  const size_t percent = endpoint.address.find('%');
  const std::string text = endpoint.address.substr(0, percent);
  const bool any = endpoint.address.empty();
  if (any ? family == AF_INET : ::inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    address.length = sizeof(*v4);
  } else if (any || ::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(endpoint.port);
    address.length = sizeof(*v6);
  } else {
    return Failure{EINVAL, "inet_pton(" + endpoint.address + ")"};
  }
  if (percent != std::string::npos) {
    const std::string scope = endpoint.address.substr(percent + 1);
    v6->sin6_scope_id = address.ipv6() ? ::if_nametoindex(scope.c_str()) : 0;
    if (v6->sin6_scope_id == 0) return Failure{ENODEV, "if_nametoindex(" + scope + ")"};
  }
  return address;
}

bool Set(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

Failure Configure(int fd, const UdpOptions& options, bool ipv6) {
  if (options.reuse_port && !Set(fd, SOL_SOCKET, SO_REUSEPORT, 1))
    return LastFailure("setsockopt(SO_REUSEPORT)");
  if (ipv6 && !Set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) return LastFailure("setsockopt(IPV6_V6ONLY)");
  // The kernel's word for DF on every datagram, and an error instead of fragments.
  const int discover = options.fragment ? IP_PMTUDISC_DONT : IP_PMTUDISC_DO;
  static_assert(IP_PMTUDISC_DO == IPV6_PMTUDISC_DO && IP_PMTUDISC_DONT == IPV6_PMTUDISC_DONT);
  const bool set = ipv6 ? Set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, discover)
                        : Set(fd, IPPROTO_IP, IP_MTU_DISCOVER, discover);
  if (!set) return LastFailure("setsockopt(IP_MTU_DISCOVER)");
  // Linux 5.0. Without it every datagram comes by itself.
  Set(fd, IPPROTO_UDP, UDP_GRO, 1);
  if (options.no_checksums && ipv6 && !Set(fd, IPPROTO_UDP, UDP_NO_CHECK6_RX, 1))
    return LastFailure("setsockopt(UDP_NO_CHECK6_RX)");
  SetSocketBuffers(fd, options.send_buffer, options.receive_buffer);
  return {};
}

/** What only a connected socket tells, and the tunnel's own may not be connected. */
Result<int> PathMtu(const SocketAddress& local, const SocketAddress& remote) {
  const Fd probe(::socket(remote.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe) return LastFailure("socket(AF_INET)");
  SocketAddress from = local;
  // Both families have it in the same place; the tunnel has the port.
  reinterpret_cast<sockaddr_in*>(&from.storage)->sin_port = 0;
  if (::bind(probe.get(), from.get(), from.length) != 0) return LastFailure("bind");
  if (::connect(probe.get(), remote.get(), remote.length) != 0) return LastFailure("connect");
  int mtu = 0;
  socklen_t length = sizeof(mtu);
  const bool ipv6 = remote.ipv6();
  if (::getsockopt(probe.get(), ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_MTU : IP_MTU, &mtu, &length) !=
      0)
    return LastFailure("getsockopt(IP_MTU)");
  return mtu;
}

Result<Endpoint> LocalEndpoint(int fd) {
  SocketAddress address;
  address.length = sizeof(address.storage);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0)
    return LastFailure("getsockname");
  std::array<char, INET6_ADDRSTRLEN> text{};
  Endpoint endpoint;
  if (address.ipv6()) {
    ::inet_ntop(AF_INET6, &V6(address.get()).sin6_addr, text.data(), text.size());
    endpoint.port = ntohs(V6(address.get()).sin6_port);
  } else {
    ::inet_ntop(AF_INET, &V4(address.get()).sin_addr, text.data(), text.size());
    endpoint.port = ntohs(V4(address.get()).sin_port);
  }
  endpoint.address = text.data();
  return endpoint;
}

}  // namespace

Result<UdpSocket> OpenUdpSocket(const UdpOptions& options) {
  UdpSocket opened;
  Result<SocketAddress> remote = Resolve(options.remote, AF_INET);
  if (!remote) return remote.failure;
  opened.remote = remote.value;
  const Result<SocketAddress> local = Resolve(options.local, opened.remote.family());
  if (!local) return local.failure;
  if (local.value.family() != opened.remote.family()) return Failure{EAFNOSUPPORT, "bind"};
  opened.fd = Fd(::socket(opened.remote.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!opened.fd) return LastFailure("socket(AF_INET)");
  const Failure failure = Configure(opened.fd.get(), options, opened.remote.ipv6());
  if (failure) return failure;
  if (::bind(opened.fd.get(), local.value.get(), local.value.length) != 0) return LastFailure("bind");
  if (options.connected && ::connect(opened.fd.get(), opened.remote.get(), opened.remote.length) != 0)
    return LastFailure("connect");
  Result<int> mtu = PathMtu(local.value, opened.remote);
  if (!mtu) return mtu.failure;
  opened.path_mtu = mtu.value;
  Result<Endpoint> bound = LocalEndpoint(opened.fd.get());
  if (!bound) return bound.failure;
  opened.local = bound.value;
  return opened;
}

bool SameHost(const SocketAddress& one, const sockaddr* other, socklen_t length) {
  if (length < one.length || other->sa_family != one.family()) return false;
  if (!one.ipv6()) return V4(one.get()).sin_addr.s_addr == V4(other).sin_addr.s_addr;
  const sockaddr_in6& wanted = V6(one.get());
  return std::memcmp(&wanted.sin6_addr, &V6(other).sin6_addr, sizeof(wanted.sin6_addr)) == 0 &&
         (wanted.sin6_scope_id == 0 || wanted.sin6_scope_id == V6(other).sin6_scope_id);
}

bool SamePort(const SocketAddress& one, const sockaddr* other) {
  // sin_port and sin6_port lie in the same place.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  return V4(one.get()).sin_port == V4(other).sin_port;
}

}  // namespace linkwright
