#pragma once

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "forward/egress.h"
#include "forward/frame_buffer.h"
#include "forward/rules.h"
#include "forward/run_state.h"
#include "forward/topology.h"
#include "thread.h"
#include "worker.h"

namespace linkwright {

class Forwarder;

/**
 * Reads queues and forwards what it reads. It sleeps while there is nothing to read, whatever state a
 * descriptor is in, and takes up a new topology between two batches.
 */
class ForwardThread {
 public:
  explicit ForwardThread(Forwarder& forwarder);
  ForwardThread(const ForwardThread&) = delete;
  ForwardThread& operator=(const ForwardThread&) = delete;

  /** Not called twice. */
  bool Start(const std::string& name);
  /** Makes it look at the state of the forwarder. */
  void Ring() const { wakeup_.Ring(); }
  void Join() { thread_.Join(); }

  // Guarded by the forwarder's lock:

  /** Queues that it has to read. */
  size_t load = 0;
  /** The topology that it has taken up. */
  uint64_t seen = 0;
  /** It has no part in the topology any more, and ends. */
  bool retired = false;
  bool ended = false;

 private:
  using Clock = RunState::Clock;

  /** A queue that it reads. */
  struct Source {
    const PortPlace* place;
    size_t queue;
    /** There may be more to read than was read. */
    bool hot = false;
    /** How often in a row it was ready and had nothing. */
    unsigned fruitless = 0;
    /** Not looked at before that. */
    Clock::time_point rest_until;
  };

  void Main();
  void Refresh();
  void ListSources();
  bool BusyPolling() const;
  void ServeAll();
  /** Sleeps until a queue is ready, or the state of the forwarder has changed. */
  void ServeReady();
  /** Says what to poll, and how long at most. */
  std::optional<std::chrono::nanoseconds> Arm();
  /** @param polled it said that it is ready */
  void Serve(Source& source, bool polled);
  void Count(PortSlot& slot, size_t queue);
  void Judge(PortSlot& slot, int error);
  void Drain();

  Forwarder& forwarder_;
  Wakeup wakeup_;
  Egress egress_;
  std::unique_ptr<Route> route_;
  std::shared_ptr<const Topology> topology_;
  std::vector<Source> sources_;
  /** Of each source, and behind them that of the wakeup. */
  std::vector<pollfd> polled_;
  FrameBuffer buffer_;
  /** When there was something to read last; only kept when polling busily. */
  Clock::time_point busy_until_;
  Thread thread_;
};

}  // namespace linkwright
