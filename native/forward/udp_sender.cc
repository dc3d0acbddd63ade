#include "forward/udp_sender.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace linkwright {
namespace {

/** Routes, devices and what they can do change: a refusal is not for ever. */
constexpr int64_t kFramesUntilRetry = 4096;

/** Whether nothing can be segmented on this way out: it has no checksum offload, say. */
bool RefusesAllSegments(int error) {
  return error == EIO || error == EOPNOTSUPP;
}

/** Whether these cannot: they are above the MTU, and may go as fragments, or not at all, one by one. */
bool RefusesThese(int error) {
  return error == EINVAL || error == EMSGSIZE;
}

}  // namespace

/** What goes into one sendmmsg(). Left uninitialised: most calls use little of it. */
struct UdpSender::Burst {
  static constexpr size_t kMessages = 64;
  static constexpr size_t kPieces = 256;

  struct alignas(cmsghdr) Control {
    std::array<uint8_t, CMSG_SPACE(sizeof(uint16_t))> bytes;
  };

  std::array<mmsghdr, kMessages> messages;
  std::array<Control, kMessages> controls;
  /** How many frames are in each message. */
  std::array<size_t, kMessages> frames;
  std::array<iovec, kPieces> pieces;
  size_t count;
};

/** How many frames from the first on can be one buffer: all as long as the first, the last perhaps shorter.
 */
size_t UdpSender::RunLength(const Frame* frames, size_t count) const {
  const size_t segment = frames[0].length;
  size_t bytes = header_.length + segment;
  size_t run = 1;
  while (run < std::min(count, kMostSegments) && frames[run - 1].length == segment &&
         frames[run].length <= segment) {
    bytes += header_.length + frames[run].length;
    if (bytes > kMostBytes) break;
    ++run;
  }
  return run;
}

void UdpSender::Fill(Burst* burst, const Frame* frames, size_t count, bool segmenting) const {
  burst->count = 0;
  size_t used = 0;
  while (used < count && used < Burst::kPieces && burst->count < Burst::kMessages) {
    const size_t room = std::min(count, Burst::kPieces) - used;
    const size_t run = segmenting ? RunLength(frames + used, room) : 1;
    for (size_t i = 0; i < run; ++i) {
      const Frame& frame = frames[used + i];
      // Into the headroom.
      uint8_t* const begin = frame.data - header_.length;
      std::memcpy(begin, header_.bytes.data(), header_.length);
      burst->pieces[used + i] = {begin, header_.length + frame.length};
    }
    mmsghdr& message = burst->messages[burst->count];
    message = {};
    message.msg_hdr.msg_iov = &burst->pieces[used];
    message.msg_hdr.msg_iovlen = run;
    if (to_ != nullptr) {
      message.msg_hdr.msg_name = const_cast<sockaddr_storage*>(&to_->storage);
      message.msg_hdr.msg_namelen = to_->length;
    }
    if (run > 1) {
      Burst::Control& control = burst->controls[burst->count];
      message.msg_hdr.msg_control = control.bytes.data();
      message.msg_hdr.msg_controllen = control.bytes.size();
      cmsghdr* const header = CMSG_FIRSTHDR(&message.msg_hdr);
      const auto segment = static_cast<uint16_t>(header_.length + frames[used].length);
      header->cmsg_level = IPPROTO_UDP;
      header->cmsg_type = UDP_SEGMENT;
      header->cmsg_len = CMSG_LEN(sizeof(segment));
      std::memcpy(CMSG_DATA(header), &segment, sizeof(segment));
    }
    burst->frames[burst->count++] = run;
    used += run;
  }
}

Sent UdpSender::Send(const Frame* frames, size_t count) {
  size_t done = 0;
  // Up to here frames are sent one by one.
  size_t single = 0;
  bool repeated = false;
  while (done < count) {
    const bool segmenting = done >= single && one_by_one_.load(std::memory_order_relaxed) <= 0;
    Burst burst;
    Fill(&burst, frames + done, (done < single ? single : count) - done, segmenting);
    const SentMessages sent = SendMessages(fd_, burst.messages.data(), burst.count);
    for (size_t message = 0; message < sent.count; ++message)
      done += burst.frames[message];
    // Below 0 it means the same as 0.
    if (!segmenting) one_by_one_.fetch_sub(static_cast<int64_t>(sent.count), std::memory_order_relaxed);
    if (sent.count > 0) repeated = false;
    if (sent.error == 0) continue;
    if (sent.error == EAGAIN) return {done, EAGAIN};
    // It may be an earlier datagram's error, which ICMP has told of since: this one was not even tried then.
    if (!std::exchange(repeated, true)) continue;
    if (burst.frames[sent.count] > 1 && (RefusesAllSegments(sent.error) || RefusesThese(sent.error))) {
      Count(&faults_->unsegmented);
      single = done + burst.frames[sent.count];
      if (RefusesAllSegments(sent.error)) one_by_one_.store(kFramesUntilRetry, std::memory_order_relaxed);
      repeated = false;
      continue;
    }
    if (sent.error == EMSGSIZE) Count(&faults_->too_long);
    return {done, sent.error};
  }
  return {done, 0};
}

}  // namespace linkwright
