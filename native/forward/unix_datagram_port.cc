#include "forward/unix_datagram_port.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "unix_address.h"

namespace linkwright {
namespace {

constexpr int kMostReads = 16;
constexpr size_t kMostMessages = 64;

/** Whether nobody is connected (any more). */
bool Unconnected(int error) {
  return error == ECONNREFUSED || error == ENOTCONN || error == EDESTADDRREQ || error == ECONNRESET;
}

/** An end is read as datagrams without a byte, for ever. */
bool Ended(int fd) {
  pollfd state{fd, POLLRDHUP, 0};
  return ::poll(&state, 1, 0) == 1;
}

}  // namespace

Result<Fd> BindUnixDatagrams(const std::string& path) {
  sockaddr_un address;
  const socklen_t length = FillUnixAddress(path, &address);
  if (length == 0) return Failure{path.empty() ? EINVAL : ENAMETOOLONG, "bind"};
  Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return LastFailure("socket(AF_UNIX)");
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return LastFailure("bind");
  return fd;
}

UnixDatagramPort::UnixDatagramPort(Fd fd, std::string remote)
    : SocketPort(std::move(fd)), remote_(std::move(remote)) {
  // It may come later.
  if (!remote_.empty()) (void)Connect();
}

int UnixDatagramPort::Connect() const {
  sockaddr_un address;
  const socklen_t length = FillUnixAddress(remote_, &address);
  return ::connect(fd(), reinterpret_cast<const sockaddr*>(&address), length) == 0 ? 0 : errno;
}

Trouble UnixDatagramPort::Judge(int error) const {
  if (remote_.empty()) return error == ECONNREFUSED ? Trouble::kGone : JudgeError(error);
  const bool away = Unconnected(error) || error == ENOENT || error == EPIPE;
  return away ? Trouble::kDown : JudgeError(error);
}

int UnixDatagramPort::Receive(size_t /*queue*/, FrameBuffer* into) {
  for (int reads = 0;;) {
    const Datagram* const datagram = reader_.current();
    if (datagram == nullptr) {
      // Only here: what was fetched is not announced again.
      if (into->full() || reads++ == kMostReads) return 0;
      const int error = reader_.Read(fd());
      if (error == EAGAIN) return 0;
      if (error != 0 && Judge(error) == Trouble::kGone) return error;
      continue;
    }
    if (datagram->length == 0 && Ended(fd())) return EPIPE;
    if (reader_.truncated() || datagram->length < kShortestFrame ||
        datagram->length > FrameBuffer::kLargestFrame) {
      Count(&mutable_faults()->malformed);
      into->Reject();
    } else {
      uint8_t* const room = into->Reserve();
      if (room == nullptr) return 0;
      std::copy_n(datagram->data, datagram->length, room);
      into->Commit(0, datagram->length, {});
    }
    reader_.Advance();
  }
}

Sent UnixDatagramPort::Send(size_t /*queue*/, const Frame* frames, size_t count) {
  // Left uninitialised: most calls use little of them.
  std::array<mmsghdr, kMostMessages> messages;
  std::array<iovec, kMostMessages> pieces;
  size_t done = 0;
  bool connected = false;
  while (done < count) {
    const size_t burst = std::min(count - done, kMostMessages);
    for (size_t i = 0; i < burst; ++i) {
      pieces[i] = {frames[done + i].data, frames[done + i].length};
      messages[i] = {};
      messages[i].msg_hdr.msg_iov = &pieces[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const SentMessages sent = SendMessages(fd(), messages.data(), burst);
    done += sent.count;
    int error = sent.error;
    if (Unconnected(error) && !remote_.empty() && !std::exchange(connected, true)) error = Connect();
    if (error == EMSGSIZE) Count(&mutable_faults()->too_long);
    if (error != 0) return {done, error};
  }
  return {done, 0};
}

}  // namespace linkwright
