#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "forward/egress.h"
#include "forward/frame_buffer.h"
#include "forward/topology.h"

namespace linkwright {

/** One thread's way of applying rules. */
class Route {
 public:
  virtual ~Route() = default;

  /** The ports are others now. The topology stays until the next call. */
  virtual void Refresh(const Topology& topology) = 0;
  /** Sends, or drops and counts, frames that were read from a queue of a port. */
  virtual void Forward(const PortPlace& from, size_t queue, const FrameBuffer& frames, Egress& egress) = 0;
};

/** Where frames go. */
class Rules {
 public:
  virtual ~Rules() = default;

  virtual std::unique_ptr<Route> NewRoute() = 0;
  /** A port is gone, or being removed: nothing is sent there any more. Called by any thread. */
  virtual void Forget(uint16_t /*number*/) {}
};

}  // namespace linkwright
