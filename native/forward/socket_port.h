#pragma once

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "fd.h"
#include "forward/port.h"

namespace linkwright {

/** What a socket port met besides good frames. Any thread counts, any thread reads. */
struct PortFaults {
  /** Datagrams that carry no frame: too short or too long, or with a wrong header. */
  std::atomic<uint64_t> malformed{0};
  /** Datagrams of somebody other than the peer, or of another VNI. */
  std::atomic<uint64_t> foreign{0};
  /** Frames too long to be sent (EMSGSIZE). */
  std::atomic<uint64_t> too_long{0};
  /** How often the kernel refused to segment what would have been several datagrams. */
  std::atomic<uint64_t> unsegmented{0};
};

inline void Count(std::atomic<uint64_t>* counter, uint64_t amount = 1) {
  counter->fetch_add(amount, std::memory_order_relaxed);
}

/** A port over one socket that it owns: one queue of Ethernet frames. */
class SocketPort : public Port {
 public:
  const std::vector<int>& queues() const override { return queues_; }
  Offloads offloads() const override { return {}; }
  Layer layer() const override { return Layer::kEthernet; }

  const PortFaults& faults() const { return faults_; }
  /** Frames that the kernel dropped because they were not fetched in time. */
  uint64_t KernelDrops() const;

 protected:
  explicit SocketPort(Fd fd) : fd_(std::move(fd)), queues_{fd_.get()} {}

  int fd() const { return fd_.get(); }
  PortFaults* mutable_faults() { return &faults_; }

 private:
  Fd fd_;
  std::vector<int> queues_;
  PortFaults faults_;
};

/** Bytes of an Ethernet header: nothing shorter is a frame. */
constexpr size_t kShortestFrame = 14;

/** Asks for a socket's buffers, as root beyond net.core.{r,w}mem_max. 0 leaves the kernel's. */
void SetSocketBuffers(int fd, int send_bytes, int receive_bytes);

}  // namespace linkwright
