#include "forward/unix_stream_port.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "offload/bytes.h"

namespace linkwright {
namespace {

constexpr int kMostReads = 4;
constexpr size_t kMostPieces = 64;
/** The kernel takes so much of a Unix stream in one piece or not at all (SKB_MAX_HEAD(0) + 32 KiB). */
constexpr size_t kChunk = 32'768;

/** Bytes sent, or a negative errno. */
ssize_t SendPieces(int fd, iovec* pieces, size_t count) {
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = count;
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

}  // namespace

/** Takes whole frames out of what was read. */
UnixStreamPort::Parsed UnixStreamPort::Parse(FrameBuffer* into) {
  while (end_ - begin_ >= kPrefix) {
    const uint8_t* const record = memory_.get() + begin_;
    const size_t length = LoadBig32(record);
    if (length > kLongestRecord) return Parsed::kNonsense;
    if (end_ - begin_ < kPrefix + length) return Parsed::kNeedsMore;
    if (length < kShortestFrame || length > FrameBuffer::kLargestFrame) {
      Count(&mutable_faults()->malformed);
      into->Reject();
    } else {
      uint8_t* const room = into->Reserve();
      if (room == nullptr) return Parsed::kFull;
      std::memcpy(room, record + kPrefix, length);
      into->Commit(0, length, {});
    }
    begin_ += kPrefix + length;
  }
  return Parsed::kNeedsMore;
}

/** Reads more. 0 or an errno; EPIPE at the end of the stream. */
int UnixStreamPort::Fill() {
  if (memory_ == nullptr) memory_.reset(new uint8_t[kBytes]);
  // An unfinished record moves to the front when the end comes near.
  if (begin_ == end_ || kBytes - end_ < kBytes / 2) {
    std::memmove(memory_.get(), memory_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  ssize_t received = 0;
  do {
    received = ::recv(fd(), memory_.get() + end_, kBytes - end_, MSG_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return errno;
  if (received == 0) return EPIPE;
  end_ += static_cast<size_t>(received);
  return 0;
}

int UnixStreamPort::Receive(size_t /*queue*/, FrameBuffer* into) {
  if (writing_.try_lock()) {
    // The peer may wait for the rest of a frame, and there may be no other to send after it.
    (void)Flush();
    writing_.unlock();
  }
  for (int reads = 0;; ++reads) {
    const Parsed parsed = Parse(into);
    // There is no telling where the next frame begins.
    if (parsed == Parsed::kNonsense) return EPROTO;
    if (parsed == Parsed::kFull || reads == kMostReads) return 0;
    const int error = Fill();
    if (error == EAGAIN) return 0;
    if (error != 0) return error;
  }
}

/** Sends what is left of a frame. 0, or an errno when something still is. */
int UnixStreamPort::Flush() {
  while (rest_sent_ < rest_.size()) {
    iovec piece{rest_.data() + rest_sent_, rest_.size() - rest_sent_};
    const ssize_t sent = SendPieces(fd(), &piece, 1);
    if (sent < 0) return static_cast<int>(-sent);
    rest_sent_ += static_cast<size_t>(sent);
  }
  rest_.clear();
  rest_sent_ = 0;
  return 0;
}

Sent UnixStreamPort::Send(size_t /*queue*/, const Frame* frames, size_t count) {
  const std::lock_guard<std::mutex> lock(writing_);
  size_t done = 0;
  while (true) {
    const int error = Flush();
    if (error != 0) return {done, error};
    if (done == count) return {done, 0};
    std::array<iovec, kMostPieces> pieces;
    size_t used = 0;
    for (size_t bytes = 0; used < kMostPieces && done + used < count; ++used) {
      const Frame& frame = frames[done + used];
      bytes += kPrefix + frame.length;
      if (used > 0 && bytes > kChunk) break;
      // Into the headroom.
      uint8_t* const begin = frame.data - kPrefix;
      StoreBig32(begin, frame.length);
      pieces[used] = {begin, kPrefix + frame.length};
    }
    const ssize_t sent = SendPieces(fd(), pieces.data(), used);
    if (sent < 0) return {done, static_cast<int>(-sent)};
    auto left = static_cast<size_t>(sent);
    for (size_t piece = 0; piece < used && left > 0; ++piece, ++done) {
      const size_t length = pieces[piece].iov_len;
      if (left < length) {
        const auto* const begin = static_cast<const uint8_t*>(pieces[piece].iov_base);
        rest_.assign(begin + left, begin + length);
      }
      left -= std::min(left, length);
    }
  }
}

Trouble UnixStreamPort::Judge(int error) const {
  return error == EPROTO ? Trouble::kGone : JudgeError(error);
}

}  // namespace linkwright
