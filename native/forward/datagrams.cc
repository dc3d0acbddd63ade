#include "forward/datagrams.h"

#include <cerrno>

namespace linkwright {

SentMessages SendMessages(int fd, mmsghdr* messages, size_t count) {
  SentMessages sent;
  while (sent.count < count) {
    const int result = ::sendmmsg(fd, messages + sent.count, static_cast<unsigned int>(count - sent.count),
                                  MSG_DONTWAIT | MSG_NOSIGNAL);
    if (result > 0) {
      sent.count += static_cast<size_t>(result);
    } else if (errno != EINTR) {
      sent.error = errno;
      break;
    }
  }
  return sent;
}

int DatagramReader::Read(int fd) {
  // Made when needed: a port that is never read from has none. Only what is used of it becomes real memory.
  if (memory_ == nullptr) memory_.reset(new uint8_t[kSlots * kStride]);
  next_ = 0;
  count_ = 0;
  for (size_t slot = 0; slot < kSlots; ++slot) {
    buffers_[slot] = {memory_.get() + slot * kStride, kRoom};
    msghdr& header = messages_[slot].msg_hdr;
    header = {};
    header.msg_iov = &buffers_[slot];
    header.msg_iovlen = 1;
    header.msg_name = &senders_[slot];
    header.msg_namelen = sizeof(sockaddr_storage);
    if (!controls_) continue;
    header.msg_control = control_[slot].bytes.data();
    header.msg_controllen = control_[slot].bytes.size();
  }
  int result = 0;
  do {
    result = ::recvmmsg(fd, messages_.data(), kSlots, MSG_DONTWAIT, nullptr);
  } while (result < 0 && errno == EINTR);
  if (result < 0) return errno;
  count_ = static_cast<size_t>(result);
  for (size_t slot = 0; slot < count_; ++slot)
    datagrams_[slot] = {static_cast<const uint8_t*>(buffers_[slot].iov_base), messages_[slot].msg_len, 0};
  return 0;
}

const void* DatagramReader::control(int level, int type, size_t bytes) {
  msghdr* const message = &messages_[next_].msg_hdr;
  for (cmsghdr* header = CMSG_FIRSTHDR(message); header != nullptr; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level == level && header->cmsg_type == type && header->cmsg_len >= CMSG_LEN(bytes))
      return CMSG_DATA(header);
  }
  return nullptr;
}

}  // namespace linkwright
