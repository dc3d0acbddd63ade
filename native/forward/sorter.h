#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "forward/frame_buffer.h"
#include "forward/topology.h"

namespace linkwright {

/** Sorts the frames of one batch by the port that gets them, in order for each; one frame may be for many. */
class Sorter {
 public:
  /** Forgets everything. Ports are meant by their position in the topology from now on. */
  void Reset(size_t ports) {
    lists_.assign(ports, {});
    nodes_.resize(ports * FrameBuffer::kFrames);
    Clear();
  }

  void Add(size_t port, size_t frame) {
    List& list = lists_[port];
    const auto node = static_cast<uint32_t>(used_++);
    nodes_[node] = {static_cast<uint32_t>(frame), 0};
    if (list.count++ == 0) {
      list.first = node;
      ports_.push_back(port);
    } else {
      nodes_[list.last].next = node;
    }
    list.last = node;
  }

  /** Calls with each port and its frames, and forgets them. */
  template <typename Send>
  void Drain(const Frame* frames, Send send) {
    for (const size_t port : ports_) {
      List& list = lists_[port];
      uint32_t node = list.first;
      for (size_t i = 0; i < list.count; ++i) {
        sorted_[i] = frames[nodes_[node].frame];
        node = nodes_[node].next;
      }
      send(port, sorted_.data(), list.count);
      list = {};
    }
    Clear();
  }

 private:
  struct Node {
    uint32_t frame;
    uint32_t next;
  };
  struct List {
    uint32_t first = 0;
    uint32_t last = 0;
    size_t count = 0;
  };

  void Clear() {
    ports_.clear();
    used_ = 0;
  }

  std::vector<Node> nodes_;
  size_t used_ = 0;
  std::vector<List> lists_;
  /** Those with frames. */
  std::vector<size_t> ports_;
  std::array<Frame, FrameBuffer::kFrames> sorted_;
};

}  // namespace linkwright
