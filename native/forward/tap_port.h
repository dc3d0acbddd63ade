#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fd.h"
#include "forward/port.h"

namespace linkwright {

/** Queues of a TAP, TUN or macvtap device, with a virtio-net header of any size before each frame, or none.
 */
class TapPort : public Port {
 public:
  struct Queue {
    Fd fd;
    /** Bytes of the virtio-net header; 0 for none. macvtap has one size a queue. */
    size_t header = 0;
  };
  struct Settings {
    Layer layer = Layer::kEthernet;
    /** What may be written to it besides finished frames; nothing where a queue has no header. */
    Offloads offloads;
    size_t largest = FrameBuffer::kLargestFrame;
    /** The device's headers are of the other byte order than the machine. */
    bool swapped = false;
  };

  TapPort(std::vector<Queue> queues, const Settings& settings);

  const std::vector<int>& queues() const override { return fds_; }
  int Receive(size_t queue, FrameBuffer* into) override;
  Sent Send(size_t queue, const Frame* frames, size_t count) override;
  /** A deleted macvtap link cannot be told from an idle one by its descriptor. */
  int Check() const override;
  /** A queue that is detached (TUNSETQUEUE) says the same as one of a deleted device. */
  Trouble Judge(int error) const override;
  Offloads offloads() const override { return settings_.offloads; }
  Layer layer() const override { return settings_.layer; }
  size_t largest() const override { return settings_.largest; }

 private:
  VnetHeader ReadHeader(const uint8_t* from) const;
  void WriteHeader(const VnetHeader& header, size_t size, uint8_t* to) const;

  std::vector<Queue> queues_;
  std::vector<int> fds_;
  Settings settings_;
};

}  // namespace linkwright
