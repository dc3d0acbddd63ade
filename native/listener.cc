// Netlink sockets for notifications: opened on a thread of the engine, read without blocking on the
// JavaScript thread.

#include <linux/filter.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "abi.h"
#include "arguments.h"
#include "bindings.h"
#include "descriptors.h"
#include "netlink_options.h"
#include "netns.h"

namespace linkwright {
namespace {

// A notification is at most as large as an attribute can be.
constexpr size_t kRoom = size_t{64} * 1024;

struct ListenOptions {
  int protocol = 0;
  int receive_buffer = 0;
  std::vector<int> groups;
  std::vector<sock_filter> filter;
  bool all_namespaces = false;
};

Result<Fd> OpenListener(ListenOptions& options) {
  Result<NetlinkEndpoint> endpoint =
      OpenNetlinkSocket(options.protocol, options.receive_buffer, SOCK_NONBLOCK);
  if (!endpoint) return endpoint.failure;
  const int fd = endpoint.value.fd.get();
  // Before the groups, so that nothing comes by that was not wanted.
  if (!options.filter.empty()) {
    const sock_fprog program{static_cast<uint16_t>(options.filter.size()), options.filter.data()};
    if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0)
      return LastFailure("setsockopt(SO_ATTACH_FILTER)");
  }
  const int on = 1;
  if (options.all_namespaces &&
      ::setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) != 0) {
    return LastFailure("setsockopt(NETLINK_LISTEN_ALL_NSID)");
  }
  for (const int group : options.groups) {
    if (::setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0) {
      return LastFailure("setsockopt(NETLINK_ADD_MEMBERSHIP)");
    }
  }
  return std::move(endpoint.value.fd);
}

Napi::Value OpenNetlinkListener(const Napi::CallbackInfo& info) {
  const auto environment = Environment::Of(info.Env());
  Arguments arguments(info.Env());
  ListenOptions options;
  options.protocol = arguments.Int(info[0], "protocol");
  const int number = arguments.Int(info[1], "netns");
  options.receive_buffer = arguments.Int(info[2], "receiveBuffer");
  options.groups = arguments.Integers(info[3], "groups");
  const Bytes filter = arguments.Uint8Array(info[4], "filter");
  options.all_namespaces = arguments.Bool(info[5], "allNamespaces");
  if (filter.length % sizeof(sock_filter) != 0 || filter.length > BPF_MAXINSNS * sizeof(sock_filter))
    arguments.Reject("\"filter\" must have 8 bytes an instruction, and 4096 of them at most");
  if (arguments.Failed()) return {};
  options.filter.resize(filter.length / sizeof(sock_filter));
  if (filter.length > 0) std::memcpy(options.filter.data(), filter.data, filter.length);
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  return environment->Async(
      [netns, options]() mutable -> Result<Fd> {
        if (!*netns) return netns->failure;
        return netns->value.Run([&] { return OpenListener(options); });
      },
      [environment = environment.get()](Fd fd) {
        std::vector<Fd> fds;
        fds.push_back(std::move(fd));
        return Descriptors::New(*environment, std::move(fds));
      });
}

/** Where each datagram ends in the slab, and which namespace it is from: pairs of integers. */
struct Origins {
  int32_t* data = nullptr;
  size_t length = 0;
  size_t used = 0;

  bool full() const { return data != nullptr && used + 2 > length; }
  void Add(size_t end, int nsid) {
    if (data == nullptr) return;
    data[used++] = static_cast<int32_t>(end);
    data[used++] = nsid;
  }
};

/** The id of the namespace that a datagram is from; -1 for the socket's own. */
int NamespaceOf(msghdr& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_NETLINK || control->cmsg_type != NETLINK_LISTEN_ALL_NSID) continue;
    int nsid = -1;
    std::memcpy(&nsid, CMSG_DATA(control), sizeof(nsid));
    return nsid;
  }
  return -1;
}

/**
 * Empties the socket after a loss. Until it is empty the kernel drops what it announces without another
 * ENOBUFS (NETLINK_S_CONGESTED): what the caller reads from then on would not make good for that.
 */
void Drain(int fd) {
  uint8_t byte = 0;
  // Taking one is faster than announcing one, which happens under a lock: this ends.
  while (::recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0 || errno == ENOBUFS || errno == EINTR) {
  }
}

/** Bytes received into the slab, or a negative errno. */
int64_t ReadInto(int fd, Bytes slab, Origins& origins) {
  size_t used = 0;
  while (slab.length - used >= kRoom && !origins.full()) {
    sockaddr_nl sender{};
    alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(sizeof(int)) * 2> control{};
    iovec buffer{slab.data + used, slab.length - used};
    msghdr message{};
    message.msg_iov = &buffer;
    message.msg_iovlen = 1;
    message.msg_name = &sender;
    message.msg_namelen = sizeof(sender);
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t received = ::recvmsg(fd, &message, MSG_DONTWAIT);
    if (received < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      // What was read before a loss is not worth keeping: the caller starts over from a snapshot.
      const int error = errno;
      if (error == ENOBUFS) Drain(fd);
      return -error;
    }
    if (received == 0) break;
    if ((message.msg_flags & MSG_TRUNC) != 0) return -EMSGSIZE;
    // Any process may send to a netlink socket; only the kernel has port id 0.
    if (sender.nl_family == AF_NETLINK && sender.nl_pid != 0) continue;
    const size_t end = used + static_cast<size_t>(received);
    used = NLMSG_ALIGN(end) < slab.length ? NLMSG_ALIGN(end) : slab.length;
    std::memset(slab.data + end, 0, used - end);
    origins.Add(used, NamespaceOf(message));
  }
  return static_cast<int64_t>(used);
}

Napi::Value ReadNotifications(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int fd = arguments.Int(info[0], "fd");
  const Bytes slab = arguments.Uint8Array(info[1], "slab");
  if (slab.length < kRoom) arguments.Reject("\"slab\" must have at least 65536 bytes");
  Origins origins;
  if (info[2].IsTypedArray() && info[2].As<Napi::TypedArray>().TypedArrayType() == napi_int32_array) {
    auto array = info[2].As<Napi::Int32Array>();
    origins = {array.Data(), array.ElementLength(), 0};
  } else if (!info[2].IsNull()) {
    arguments.Reject("\"origins\" must be an Int32Array or null");
  }
  if (arguments.Failed()) return {};
  return Napi::Number::New(info.Env(), static_cast<double>(ReadInto(fd, slab, origins)));
}

}  // namespace

void RegisterListener(const std::shared_ptr<Environment>& /*environment*/, Napi::Object exports) {
  Export<OpenNetlinkListener>(exports, "openNetlinkListener");
  Export<ReadNotifications>(exports, "readNotifications");
}

}  // namespace linkwright
