#include "netlink.h"

#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

namespace linkwright::guard {
namespace {

/** A kernel that does not answer is not waited for any longer. */
constexpr time_t kPatience = 5;
/** For a transaction in one datagram; SO_SNDBUF has netlink_sendmsg() refuse longer ones (EMSGSIZE). */
constexpr int kSendMargin = 4096;
/** Room for what is told of a link. */
constexpr size_t kAnswer = 65536;
/** Between two looks at what has to become true, in milliseconds. */
constexpr int kEvery = 5;
constexpr timespec kBetween{0, kEvery * 1'000'000L};

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

/** 1 where a message tells of a link that is operationally up, 0 of another one, else a negative errno. */
int StateIn(const std::vector<uint8_t>& message) {
  const nlmsghdr header = HeaderAt(message, 0);
  if (!IsWhole(header, message.size())) return -EBADMSG;
  size_t at = sizeof(header);
  if (header.nlmsg_type == NLMSG_ERROR) {
    int error = -EBADMSG;
    if (at + sizeof(error) <= message.size()) std::memcpy(&error, message.data() + at, sizeof(error));
    return error;
  }
  at += NLMSG_ALIGN(sizeof(ifinfomsg));
  rtattr attribute{};
  while (at + sizeof(attribute) < header.nlmsg_len) {
    std::memcpy(&attribute, message.data() + at, sizeof(attribute));
    if (attribute.rta_len < sizeof(attribute)) return -EBADMSG;
    if (attribute.rta_type == IFLA_OPERSTATE) return message[at + sizeof(attribute)] == IF_OPER_UP ? 1 : 0;
    at += RTA_ALIGN(attribute.rta_len);
  }
  return 0;
}

bool IsLocalRoute(const uint8_t* message, size_t length, int index) {
  rtmsg route{};
  size_t at = sizeof(nlmsghdr);
  if (at + sizeof(route) > length) return false;
  std::memcpy(&route, message + at, sizeof(route));
  if (route.rtm_type != RTN_LOCAL || route.rtm_table != RT_TABLE_LOCAL) return false;
  at += NLMSG_ALIGN(sizeof(route));
  rtattr attribute{};
  int link = 0;
  while (at + sizeof(attribute) + sizeof(link) <= length) {
    std::memcpy(&attribute, message + at, sizeof(attribute));
    if (attribute.rta_len < sizeof(attribute)) return false;
    if (attribute.rta_type == RTA_OIF) std::memcpy(&link, message + at + sizeof(attribute), sizeof(link));
    at += RTA_ALIGN(attribute.rta_len);
  }
  return link == index;
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

int Netlink::MayChange() {
  if (may_change_) return 0;
  if (const int error = Prepare(NETLINK_ROUTE)) return error;
  // An address of no link: refused in any case, and before that for want of CAP_NET_ADMIN
  // (rtnetlink_rcv_msg).
  struct {
    nlmsghdr header;
    ifaddrmsg address;
  } request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_NEWADDR;
  request.address.ifa_family = AF_INET;
  std::vector<uint8_t> message(sizeof(request));
  std::memcpy(message.data(), &request, sizeof(request));
  const int error = RunEach(sockets_[NETLINK_ROUTE], message, {});
  may_change_ = error != EPERM && error != EAGAIN;
  return may_change_ ? 0 : error;
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
  const int room = static_cast<int>(messages.size()) + kSendMargin;
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) != 0)
    (void)::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
  if (const int error = Send(socket, messages.data(), messages.size())) return error;
  return Await(socket, answers, settled);
}

int Netlink::AwaitUp(int index, int milliseconds) {
  if (const int error = Prepare(NETLINK_ROUTE)) return error;
  const Fd& socket = sockets_[NETLINK_ROUTE];
  for (int waited = 0;; waited += kEvery) {
    const int up = IsUp(socket, index);
    if (up != 0) return up < 0 ? -up : 0;
    if (waited >= milliseconds) return ETIMEDOUT;
    (void)::nanosleep(&kBetween, nullptr);
  }
}

int Netlink::AwaitLocal(int index, size_t count, int milliseconds) {
  if (const int error = Prepare(NETLINK_ROUTE)) return error;
  const Fd& socket = sockets_[NETLINK_ROUTE];
  for (int waited = 0;; waited += kEvery) {
    const int found = CountLocal(socket, index);
    if (found < 0) return -found;
    if (static_cast<size_t>(found) >= count) return 0;
    if (waited >= milliseconds) return ETIMEDOUT;
    (void)::nanosleep(&kBetween, nullptr);
  }
}

int Netlink::CountLocal(const Fd& socket, int index) {
  struct {
    nlmsghdr header;
    rtmsg route;
  } request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_GETROUTE;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = ++sequence_;
  request.route.rtm_family = AF_INET6;
  if (const int error = Send(socket, reinterpret_cast<const uint8_t*>(&request), sizeof(request)))
    return -error;
  int found = 0;
  std::vector<uint8_t> answer;
  for (;;) {
    answer.resize(kAnswer);
    const ssize_t bytes = ::recv(socket.get(), answer.data(), answer.size(), 0);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return -errno;
    answer.resize(static_cast<size_t>(bytes));
    for (size_t at = 0; at + sizeof(nlmsghdr) <= answer.size();) {
      const nlmsghdr header = HeaderAt(answer, at);
      if (!IsWhole(header, answer.size() - at)) return -EBADMSG;
      if (header.nlmsg_seq == sequence_) {
        if (header.nlmsg_type == NLMSG_DONE) return found;
        if (header.nlmsg_type == NLMSG_ERROR) return -EBADMSG;
        if (IsLocalRoute(answer.data() + at, header.nlmsg_len, index)) ++found;
      }
      at += NLMSG_ALIGN(header.nlmsg_len);
    }
  }
}

int Netlink::IsUp(const Fd& socket, int index) {
  struct {
    nlmsghdr header;
    ifinfomsg link;
  } request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.header.nlmsg_seq = ++sequence_;
  request.link.ifi_index = index;
  if (const int error = Send(socket, reinterpret_cast<const uint8_t*>(&request), sizeof(request)))
    return -error;
  std::vector<uint8_t> answer(kAnswer);
  for (;;) {
    const ssize_t bytes = ::recv(socket.get(), answer.data(), answer.size(), 0);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return -errno;
    answer.resize(static_cast<size_t>(bytes));
    const nlmsghdr header = HeaderAt(answer, 0);
    if (header.nlmsg_seq == sequence_) return StateIn(answer);
    answer.resize(kAnswer);
  }
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
