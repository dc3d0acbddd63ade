#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace linkwright {

/** How far a sendmmsg() came. */
struct SentMessages {
  size_t count = 0;
  /** Why the next was not sent: an errno, or 0. */
  int error = 0;
};

/** Sends messages in order, without blocking. */
SentMessages SendMessages(int fd, mmsghdr* messages, size_t count);

/** A datagram as it came. */
struct Datagram {
  const uint8_t* data = nullptr;
  size_t length = 0;
  /** How much of it was dealt with: the receiver's to count. */
  size_t offset = 0;
};

/**
 * Reads datagrams many at a time into memory of its own. What does not fit its receiver any more stays for
 * the next time.
 */
class DatagramReader {
 public:
  static constexpr size_t kSlots = 16;
  /** The longest datagram that any socket gives. */
  static constexpr size_t kRoom = 65'536 + 128;

  /**
   * @param controls whether control messages are wanted. Over a Unix socket they would be descriptors of the
   * peer's choice, which nobody here would close
   */
  explicit DatagramReader(bool controls) : controls_(controls) {}

  /** The datagram to be dealt with next, or null: Read() more. */
  Datagram* current() { return next_ < count_ ? &datagrams_[next_] : nullptr; }
  void Advance() { ++next_; }

  /** Fetches what is there. 0, EAGAIN when nothing is, or another errno. Only when there is no current one.
   */
  int Read(int fd);

  /** Of the current one: who sent it. */
  const sockaddr* sender() const { return reinterpret_cast<const sockaddr*>(&senders_[next_]); }
  socklen_t sender_length() const { return messages_[next_].msg_hdr.msg_namelen; }
  bool truncated() const { return (messages_[next_].msg_hdr.msg_flags & MSG_TRUNC) != 0; }
  /** A control message of the current one: its data, or null. */
  const void* control(int level, int type, size_t bytes);

 private:
  /** Slots do not all begin at the same place of a cache. */
  static constexpr size_t kStride = kRoom + 64;
  struct alignas(cmsghdr) Control {
    std::array<uint8_t, 128> bytes;
  };

  const bool controls_;
  std::unique_ptr<uint8_t[]> memory_;
  std::array<mmsghdr, kSlots> messages_{};
  std::array<iovec, kSlots> buffers_{};
  std::array<sockaddr_storage, kSlots> senders_{};
  std::array<Control, kSlots> control_{};
  std::array<Datagram, kSlots> datagrams_{};
  size_t next_ = 0;
  size_t count_ = 0;
};

}  // namespace linkwright
