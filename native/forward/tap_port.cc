#include "forward/tap_port.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "device_io.h"
#include "tun_ioctl.h"

namespace linkwright {
namespace {

uint16_t Swap(uint16_t value) {
  return static_cast<uint16_t>(value << 8 | value >> 8);
}

VnetHeader Swapped(VnetHeader header) {
  header.header_length = Swap(header.header_length);
  header.gso_size = Swap(header.gso_size);
  header.checksum_start = Swap(header.checksum_start);
  header.checksum_offset = Swap(header.checksum_offset);
  return header;
}

}  // namespace

TapPort::TapPort(std::vector<Queue> queues, const Settings& settings)
    : queues_(std::move(queues)), settings_(settings) {
  for (const Queue& queue : queues_) {
    fds_.push_back(queue.fd.get());
    if (queue.header == 0) settings_.offloads = {};
  }
}

VnetHeader TapPort::ReadHeader(const uint8_t* from) const {
  VnetHeader header;
  std::memcpy(&header, from, kVnetHeaderBytes);
  return settings_.swapped ? Swapped(header) : header;
}

void TapPort::WriteHeader(const VnetHeader& header, size_t size, uint8_t* to) const {
  const VnetHeader written = settings_.swapped ? Swapped(header) : header;
  std::memcpy(to, &written, kVnetHeaderBytes);
  if (size > kVnetHeaderBytes) std::memset(to + kVnetHeaderBytes, 0, size - kVnetHeaderBytes);
}

int TapPort::Receive(size_t queue, FrameBuffer* into) {
  const int fd = fds_[queue];
  const size_t header = queues_[queue].header;
  while (uint8_t* const room = into->Reserve()) {
    const ssize_t length = ReadDevice(fd, room, header + FrameBuffer::kLargestFrame);
    if (length < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN ? 0 : errno;
    }
    // No device says so, but other descriptors do, for ever.
    if (length == 0) return EPIPE;
    const auto bytes = static_cast<size_t>(length);
    // A header alone is no frame.
    if (bytes <= header) continue;
    into->Commit(header, bytes - header, header == 0 ? VnetHeader{} : ReadHeader(room));
  }
  return 0;
}

Sent TapPort::Send(size_t queue, const Frame* frames, size_t count) {
  const Queue& to = queues_[queue % queues_.size()];
  const int fd = to.fd.get();
  for (size_t i = 0; i < count; ++i) {
    const Frame& frame = frames[i];
    uint8_t* const start = frame.data - to.header;
    if (to.header != 0) WriteHeader(frame.header, to.header, start);
    ssize_t written = WriteDevice(fd, start, to.header + frame.length);
    while (written < 0 && errno == EINTR)
      written = WriteDevice(fd, start, to.header + frame.length);
    if (written < 0) return {i, errno};
  }
  return {count, 0};
}

int TapPort::Check() const {
  return GetTunInterface(fds_.front()).failure.error;
}

Trouble TapPort::Judge(int error) const {
  return error == EBADFD && Check() == 0 ? Trouble::kFrame : JudgeError(error);
}

}  // namespace linkwright
