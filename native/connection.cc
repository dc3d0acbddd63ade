#include "connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <utility>

#include "abi.h"
#include "dump.h"
#include "netlink_options.h"

namespace linkwright {
namespace {

// An error message that explains itself is charged with about 2 KiB, an echoed link with about 4.
constexpr int kBytesPerAnswer = 6144;
constexpr int kSmallestWindow = 8;
constexpr int kLargestWindow = 64;
// Most kernels for servers are not preempted within a sendmsg(): whoever shares the processor, perhaps the
// event loop, waits that long. A link takes 50-100 us.
constexpr std::chrono::microseconds kRoundTime{1500};
constexpr size_t kSmallestPace = 4;
// More in one sendmsg() saves nothing, and holds RTNL for others to wait.
constexpr size_t kLargestSend = size_t{512} * 1024;
constexpr int kSendBuffer = 1024 * 1024;
// netlink_sendmsg() wants 32 bytes less than SO_SNDBUF.
constexpr size_t kSendMargin = 1024;
// After this much silence a cancelled dump of a Unix socket has no end to wait for.
constexpr int kDrainTimeoutMs = 1000;
// How often a thread without an eventfd looks whether it is still wanted.
constexpr int kPollWithoutWakeupMs = 100;

}  // namespace

Connection::Connection(Fd fd, Peer peer, int protocol, uint32_t port_id)
    : fd_(std::move(fd)), peer_(peer), protocol_(protocol), port_id_(port_id) {
  receive_buffer_ = GetSocketOption(fd_.get(), SO_RCVBUF);
  window_ =
      static_cast<size_t>(std::clamp(receive_buffer_ / kBytesPerAnswer, kSmallestWindow, kLargestWindow));
  const auto send_buffer = static_cast<size_t>(std::max(GetSocketOption(fd_.get(), SO_SNDBUF), 4096));
  send_limit_ = std::min(send_buffer - kSendMargin, kLargestSend);
}

Result<std::unique_ptr<Connection>> Connection::Open(int protocol, int receive_buffer) {
  Result<NetlinkEndpoint> endpoint = OpenNetlinkSocket(protocol, receive_buffer, 0);
  if (!endpoint) return endpoint.failure;
  ForceSocketBuffer(endpoint.value.fd.get(), SO_SNDBUFFORCE, SO_SNDBUF, kSendBuffer);
  return std::unique_ptr<Connection>(
      new Connection(std::move(endpoint.value.fd), Peer::kKernel, protocol, endpoint.value.port_id));
}

Result<std::unique_ptr<Connection>> Connection::Adopt(Fd fd) {
  int domain = 0;
  int type = 0;
  socklen_t length = sizeof(int);
  Failure failure;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 ||
      ::getsockopt(fd.get(), SOL_SOCKET, SO_TYPE, &type, &length) != 0) {
    failure = LastFailure("getsockopt");
  } else if (domain != AF_UNIX) {
    failure = {EAFNOSUPPORT, "adoptNetlink"};
  } else if (type != SOCK_SEQPACKET && type != SOCK_DGRAM) {
    // A stream does not keep messages apart.
    failure = {EPROTOTYPE, "adoptNetlink"};
  }
  if (failure) {
    // What was not taken over stays the caller's.
    (void)fd.Release();
    return failure;
  }
  return std::unique_ptr<Connection>(new Connection(std::move(fd), Peer::kUnixSocket, -1, 0));
}

bool Connection::Push(ExchangePtr exchange) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(exchange));
  return !std::exchange(scheduled_, true);
}

Outcome Connection::Cancel(Exchange& exchange) {
  const std::lock_guard lock(mutex_);
  exchange.given_up = true;
  if (waiting_ != nullptr) waiting_->Ring();
  return exchange.TakeOutcome();
}

void Connection::Unschedule() {
  const std::lock_guard lock(mutex_);
  scheduled_ = false;
}

void Connection::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  if (waiting_ != nullptr) waiting_->Ring();
}

bool Connection::RunRound(Worker& worker, std::vector<ExchangePtr>& finished) {
  Round round = TakeRound();
  if (!round.empty()) {
    const auto begin = std::chrono::steady_clock::now();
    const int32_t error = Send(round);
    SetPace(round.size(), std::chrono::steady_clock::now() - begin);
    if (error != 0) {
      const std::lock_guard lock(mutex_);
      round.Fail(error);
    } else if (round.exchanges().front()->kind == Exchange::Kind::kDump) {
      Dump(round, worker);
    } else {
      Converse(round, worker);
    }
  }

  const std::lock_guard lock(mutex_);
  if (!round.empty()) round.Conclude();
  // Whoever asks again for what was lost gets further with each attempt. A transaction is not cut to size.
  if (round.overrun() && round.exchanges().front()->kind == Exchange::Kind::kBatch) {
    window_ = std::max<size_t>(std::min(window_, round.size()) / 2, 1);
  }
  for (const ExchangePtr& exchange : round.exchanges()) {
    if (exchange->sent == exchange->count() && !exchange->given_up) finished.push_back(exchange);
  }
  scheduled_ = !queue_.empty() && !closed_;
  return scheduled_;
}

void Connection::SetPace(size_t messages, std::chrono::steady_clock::duration duration) {
  const auto each =
      std::max<std::chrono::steady_clock::duration>(duration / messages, std::chrono::nanoseconds{1});
  pace_ = std::max(static_cast<size_t>(kRoundTime / each), kSmallestPace);
}

Round Connection::TakeRound() {
  Round round(protocol_, port_id_);
  const std::lock_guard lock(mutex_);
  while (!queue_.empty() && !closed_) {
    const ExchangePtr exchange = queue_.front();
    if (exchange->given_up) {
      queue_.pop_front();
      continue;
    }
    const bool alone = exchange->kind != Exchange::Kind::kBatch;
    if (alone && !round.empty()) break;
    if (exchange->sent == 0) {
      // Reserved as a whole, so that they are consecutive even when it takes several rounds.
      exchange->first_sequence = next_sequence_;
      next_sequence_ += static_cast<uint32_t>(exchange->count());
    }
    while (exchange->sent < exchange->count()) {
      const bool fits = round.size() < std::min(window_, pace_) &&
                        round.bytes() + exchange->LengthOf(exchange->sent) <= send_limit_;
      if (!fits && !round.empty() && exchange->kind != Exchange::Kind::kAtomic) break;
      round.Add(exchange, exchange->first_sequence + static_cast<uint32_t>(exchange->sent));
    }
    if (exchange->sent < exchange->count()) break;
    queue_.pop_front();
    if (alone) break;
  }
  if (!round.empty()) round.Seal();
  return round;
}

int32_t Connection::Send(Round& round) {
  // Only a transaction is not cut to size.
  if (round.bytes() > send_limit_ && peer_ == Peer::kKernel) {
    ForceSocketBuffer(fd_.get(), SO_SNDBUFFORCE, SO_SNDBUF, static_cast<int>(round.bytes() + kSendMargin));
  }
  msghdr message{};
  message.msg_iov = round.parts().data();
  message.msg_iovlen = round.parts().size();
  while (true) {
    if (::sendmsg(fd_.get(), &message, MSG_NOSIGNAL) >= 0) return 0;
    if (errno != EINTR) return -errno;
  }
}

bool Connection::IsFromPeer(const void* address, size_t length) const {
  if (peer_ == Peer::kUnixSocket) return true;
  sockaddr_nl sender{};
  if (length < sizeof(sender)) return false;
  std::memcpy(&sender, address, sizeof(sender));
  // Any process may send to a netlink socket; only the kernel has port id 0.
  return sender.nl_family == AF_NETLINK && sender.nl_pid == 0;
}

Connection::Waiting Connection::Wait(const Round& round, Worker& worker, int timeout, bool until_given_up) {
  const int wakeup = worker.wakeup().Descriptor();
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || (until_given_up && !round.Wanted())) return Waiting::kGivenUp;
    waiting_ = &worker.wakeup();
  }
  // Without an eventfd nobody can interrupt it, so an endless wait is cut into short ones.
  const bool polling = wakeup < 0 && timeout < 0;
  if (polling) timeout = kPollWithoutWakeupMs;
  std::array<pollfd, 2> polled{{{fd_.get(), POLLIN, 0}, {wakeup, POLLIN, 0}}};
  const int ready = ::poll(polled.data(), polled.size(), timeout);
  const std::lock_guard lock(mutex_);
  waiting_ = nullptr;
  worker.wakeup().Clear();
  if (closed_ || (until_given_up && !round.Wanted())) return Waiting::kGivenUp;
  if ((polled[0].revents & (POLLHUP | POLLNVAL)) != 0 && (polled[0].revents & POLLIN) == 0)
    return Waiting::kHungUp;
  return ready == 0 && !polling ? Waiting::kTimeout : Waiting::kReadable;
}

void Connection::Converse(Round& round, Worker& worker) {
  uint8_t* const slab = worker.slab().Memory();
  std::array<mmsghdr, Slab::kSlots> datagrams;
  std::array<iovec, Slab::kSlots> buffers;
  std::array<sockaddr_storage, Slab::kSlots> senders;
  while (!round.complete()) {
    for (size_t slot = 0; slot < Slab::kSlots; ++slot) {
      buffers[slot] = {slab + slot * Slab::kSlotBytes, Slab::kSlotBytes};
      datagrams[slot] = {};
      datagrams[slot].msg_hdr.msg_iov = &buffers[slot];
      datagrams[slot].msg_hdr.msg_iovlen = 1;
      datagrams[slot].msg_hdr.msg_name = &senders[slot];
      datagrams[slot].msg_hdr.msg_namelen = sizeof(senders[slot]);
    }
    const int received = ::recvmmsg(fd_.get(), datagrams.data(), datagrams.size(), MSG_DONTWAIT, nullptr);
    const int error = received < 0 ? errno : 0;
    if (received > 0) {
      const std::lock_guard lock(mutex_);
      for (size_t slot = 0; slot < static_cast<size_t>(received); ++slot) {
        const msghdr& header = datagrams[slot].msg_hdr;
        if (!IsFromPeer(header.msg_name, header.msg_namelen)) continue;
        if (datagrams[slot].msg_len == 0 && peer_ == Peer::kUnixSocket) round.Fail(-ECONNRESET);
        round.Absorb(slab + slot * Slab::kSlotBytes, datagrams[slot].msg_len,
                     (header.msg_flags & MSG_TRUNC) != 0);
      }
    } else if (error == ENOBUFS) {
      const std::lock_guard lock(mutex_);
      round.Overrun();
    } else if (error == EAGAIN && round.overrun()) {
      return;
    } else if (error == EAGAIN && peer_ == Peer::kKernel) {
      const std::lock_guard lock(mutex_);
      round.Silence();
    } else if (error == EAGAIN) {
      const Waiting waiting = Wait(round, worker, -1, true);
      if (waiting == Waiting::kGivenUp) return;
      if (waiting == Waiting::kHungUp) {
        const std::lock_guard lock(mutex_);
        round.Fail(-ECONNRESET);
      }
    } else if (error != EINTR) {
      const std::lock_guard lock(mutex_);
      round.Fail(-error);
    }
  }
}

void Connection::Discard(Worker& worker) {
  uint8_t* const slab = worker.slab().Memory();
  while (::recv(fd_.get(), slab, Slab::kSlotBytes, MSG_DONTWAIT) >= 0 || errno == ENOBUFS || errno == EINTR) {
  }
}

void Connection::Dump(Round& round, Worker& worker) {
  Exchange& exchange = *round.exchanges().front();
  int32_t error = ReadDump(exchange, round, worker);
  if (error == -EBUSY && peer_ == Peer::kKernel) {
    // Another dump was begun on this socket and never read to its end: reading brings it there.
    Discard(worker);
    error = Send(round);
    if (error == 0) error = ReadDump(exchange, round, worker);
  }
  const std::lock_guard lock(mutex_);
  round.Fail(error);
}

int32_t Connection::ReadDump(Exchange& exchange, const Round& round, Worker& worker) {
  DumpFilter filter(exchange.first_sequence, exchange.attributes_at);
  Replies replies;
  int32_t failure = 0;
  while (!filter.done()) {
    bool drain = failure != 0;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return -ECANCELED;
      drain |= exchange.given_up;
    }
    // Straight into the memory that JavaScript will see: a full routing table is not copied twice.
    uint8_t* const room = drain ? worker.slab().Memory() : replies.Reserve(Slab::kSlotBytes);
    sockaddr_storage sender;
    iovec buffer{room, Slab::kSlotBytes};
    msghdr message{};
    message.msg_iov = &buffer;
    message.msg_iovlen = 1;
    message.msg_name = &sender;
    message.msg_namelen = sizeof(sender);
    const ssize_t received = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
    if (received >= 0) {
      if (!IsFromPeer(&sender, message.msg_namelen)) continue;
      if (received == 0 && peer_ == Peer::kUnixSocket) {
        failure = -ECONNRESET;
        break;
      }
      const size_t kept = filter.Keep(room, static_cast<size_t>(received));
      if (!drain) replies.Commit(kept);
      if ((message.msg_flags & MSG_TRUNC) != 0) failure = -EMSGSIZE;
    } else if (errno == ENOBUFS) {
      failure = -ENOBUFS;
    } else if (errno == EAGAIN && peer_ == Peer::kKernel) {
      // It ended without an end: the request was none for a dump.
      if (failure == 0) failure = -EBADMSG;
      break;
    } else if (errno == EAGAIN) {
      const Waiting waiting = Wait(round, worker, drain ? kDrainTimeoutMs : -1, !drain);
      if (waiting == Waiting::kHungUp) failure = -ECONNRESET;
      if (waiting == Waiting::kHungUp || waiting == Waiting::kTimeout) break;
    } else if (errno != EINTR) {
      failure = -errno;
      break;
    }
  }

  const std::lock_guard lock(mutex_);
  if (!exchange.given_up) {
    exchange.replies = std::move(replies);
    exchange.attribute_index = filter.index().Take();
    exchange.interrupted = filter.interrupted();
  }
  return failure != 0 ? failure : filter.error();
}

}  // namespace linkwright
