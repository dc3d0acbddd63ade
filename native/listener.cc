// Netlink sockets for notifications: opened on a thread of the engine, read without blocking on the
// JavaScript thread.

#include <sys/socket.h>

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

Result<Fd> OpenListener(int protocol, int receive_buffer, const std::vector<int>& groups) {
  Result<NetlinkEndpoint> endpoint = OpenNetlinkSocket(protocol, receive_buffer, SOCK_NONBLOCK);
  if (!endpoint) return endpoint.failure;
  for (const int group : groups) {
    if (::setsockopt(endpoint.value.fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) !=
        0) {
      return LastFailure("setsockopt(NETLINK_ADD_MEMBERSHIP)");
    }
  }
  return std::move(endpoint.value.fd);
}

Napi::Value OpenNetlinkListener(const Napi::CallbackInfo& info) {
  const auto environment = Environment::Of(info.Env());
  Arguments arguments(info.Env());
  const int protocol = arguments.Int(info[0], "protocol");
  const int number = arguments.Int(info[1], "netns");
  const int receive_buffer = arguments.Int(info[2], "receiveBuffer");
  const std::vector<int> groups = arguments.Integers(info[3], "groups");
  if (arguments.Failed()) return {};
  auto netns = std::make_shared<Result<Netns>>(Netns::FromNumber(number));
  return environment->Async(
      [netns, protocol, receive_buffer, groups]() -> Result<Fd> {
        if (!*netns) return netns->failure;
        return netns->value.Run([&] { return OpenListener(protocol, receive_buffer, groups); });
      },
      [environment = environment.get()](Fd fd) {
        std::vector<Fd> fds;
        fds.push_back(std::move(fd));
        return Descriptors::New(*environment, std::move(fds));
      });
}

/** Bytes received into the slab, or a negative errno. */
int64_t ReadInto(int fd, Bytes slab) {
  size_t used = 0;
  while (slab.length - used >= kRoom) {
    sockaddr_nl sender{};
    iovec buffer{slab.data + used, slab.length - used};
    msghdr message{};
    message.msg_iov = &buffer;
    message.msg_iovlen = 1;
    message.msg_name = &sender;
    message.msg_namelen = sizeof(sender);
    const ssize_t received = ::recvmsg(fd, &message, MSG_DONTWAIT);
    if (received < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      // What was read before a loss is not worth keeping: the caller starts over from a snapshot.
      return -errno;
    }
    if (received == 0) break;
    if ((message.msg_flags & MSG_TRUNC) != 0) return -EMSGSIZE;
    // Any process may send to a netlink socket; only the kernel has port id 0.
    if (sender.nl_family == AF_NETLINK && sender.nl_pid != 0) continue;
    const size_t end = used + static_cast<size_t>(received);
    used = NLMSG_ALIGN(end) < slab.length ? NLMSG_ALIGN(end) : slab.length;
    std::memset(slab.data + end, 0, used - end);
  }
  return static_cast<int64_t>(used);
}

Napi::Value ReadNotifications(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int fd = arguments.Int(info[0], "fd");
  const Bytes slab = arguments.Uint8Array(info[1], "slab");
  if (slab.length < kRoom) arguments.Reject("\"slab\" must have at least 65536 bytes");
  if (arguments.Failed()) return {};
  return Napi::Number::New(info.Env(), static_cast<double>(ReadInto(fd, slab)));
}

}  // namespace

void RegisterListener(const std::shared_ptr<Environment>& /*environment*/, Napi::Object exports) {
  Export<OpenNetlinkListener>(exports, "openNetlinkListener");
  Export<ReadNotifications>(exports, "readNotifications");
}

}  // namespace linkwright
