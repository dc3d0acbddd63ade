#include "netlink.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace linkwright::guard {
namespace {

/** A kernel that does not answer is not waited for any longer. */
constexpr time_t kPatience = 5;

nlmsghdr HeaderAt(const std::vector<uint8_t>& messages, size_t at) {
  nlmsghdr header{};
  if (at + sizeof(header) <= messages.size()) std::memcpy(&header, messages.data() + at, sizeof(header));
  return header;
}

bool IsWhole(const nlmsghdr& header, size_t left) {
  return header.nlmsg_len >= sizeof(header) && header.nlmsg_len <= left;
}

int Send(const Fd& socket, const uint8_t* data, size_t length) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  while (::sendto(socket.get(), data, length, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof(kernel)) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

bool IsSettled(int error, const std::vector<int>& settled) {
  return error == 0 || std::find(settled.begin(), settled.end(), error) != settled.end();
}

}  // namespace

int Netlink::Prepare(int protocol) {
  if (sockets_.count(protocol) != 0) return 0;
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!socket) return errno;
  const timeval patience{kPatience, 0};
  const int on = 1;
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  (void)::setsockopt(socket.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
  sockets_.emplace(protocol, std::move(socket));
  return 0;
}

int Netlink::Run(int protocol, bool atomic, std::vector<uint8_t>& messages, const std::vector<int>& settled) {
  if (const int error = Prepare(protocol)) return error;
  const Fd& socket = sockets_[protocol];
  return atomic ? RunTogether(socket, messages, settled) : RunEach(socket, messages, settled);
}

int Netlink::RunEach(const Fd& socket, std::vector<uint8_t>& messages, const std::vector<int>& settled) {
  int first = 0;
  for (size_t at = 0; at < messages.size();) {
    nlmsghdr header = HeaderAt(messages, at);
    if (!IsWhole(header, messages.size() - at)) return EBADMSG;
    header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    header.nlmsg_seq = ++sequence_;
    std::memcpy(messages.data() + at, &header, sizeof(header));
    int error = Send(socket, messages.data() + at, header.nlmsg_len);
    if (error == 0) error = Await(socket, 1, settled);
    if (first == 0 && !IsSettled(error, settled)) first = error;
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
  return first;
}

int Netlink::RunTogether(const Fd& socket, std::vector<uint8_t>& messages, const std::vector<int>& settled) {
  size_t answers = 0;
  ++sequence_;
  for (size_t at = 0; at < messages.size();) {
    nlmsghdr header = HeaderAt(messages, at);
    if (!IsWhole(header, messages.size() - at)) return EBADMSG;
    header.nlmsg_seq = sequence_;
    std::memcpy(messages.data() + at, &header, sizeof(header));
    if ((header.nlmsg_flags & NLM_F_ACK) != 0) ++answers;
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
  if (const int error = Send(socket, messages.data(), messages.size())) return error;
  return Await(socket, answers, settled);
}

int Netlink::Await(const Fd& socket, size_t answers, const std::vector<int>& settled) {
  int first = 0;
  std::array<uint8_t, 8192> buffer;
  while (answers > 0) {
    const ssize_t bytes = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return errno;
    const auto length = static_cast<size_t>(bytes);
    for (size_t at = 0; at + sizeof(nlmsghdr) <= length;) {
      nlmsghdr header;
      std::memcpy(&header, buffer.data() + at, sizeof(header));
      if (!IsWhole(header, length - at)) break;
      if (header.nlmsg_type == NLMSG_ERROR && header.nlmsg_seq == sequence_ &&
          at + sizeof(header) + sizeof(int) <= length) {
        int negative = 0;
        std::memcpy(&negative, buffer.data() + at + sizeof(header), sizeof(negative));
        if (first == 0 && !IsSettled(-negative, settled)) first = -negative;
        // A transaction that is refused as a whole is answered once.
        if (answers > 0) --answers;
        if (negative != 0 && answers > 0 && first != 0) answers = 0;
      }
      at += NLMSG_ALIGN(header.nlmsg_len);
    }
  }
  return first;
}

}  // namespace linkwright::guard
