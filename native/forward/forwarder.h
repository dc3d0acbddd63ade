#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "forward/egress.h"
#include "forward/forward_thread.h"
#include "forward/port_health.h"
#include "forward/rules.h"
#include "forward/run_state.h"
#include "forward/topology.h"
#include "result.h"

namespace linkwright {

/**
 * Ports, the rules between them, and the threads that move frames: one for each queue, up to a limit. Knows
 * nothing of JavaScript. All of it may be called by any thread.
 */
class Forwarder : private PortWatcher {
 public:
  struct Settings {
    /** What the threads are called. */
    std::string name;
    /** Most threads; queues share them when there are more. */
    size_t threads = 64;
    /** How long to go on asking for frames after the last one, before sleeping. */
    std::chrono::microseconds busy_poll{0};
    Egress::Settings egress;
  };
  /** Called by any thread, never after Close(). */
  using Listener = std::function<void(uint32_t id, PortEvent event, int error)>;

  Forwarder(Settings settings, std::unique_ptr<Rules> rules, Listener listener);
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  /**
   * Adds a port and begins to forward. Gives its id.
   *
   * @param counters PortCounters::Needed() of them, until the port is removed or the forwarder closed
   */
  Result<uint32_t> Add(std::shared_ptr<Port> port, uint64_t* counters, std::shared_ptr<Mirror> mirror,
                       const PortSettings& settings);
  /** Changes ports, all at the same moment. Those that are not there are left out. */
  void Set(const std::vector<std::pair<uint32_t, PortSettings>>& ports);
  /** The number of a port in the rules, if there is such a port. */
  std::optional<uint16_t> NumberOf(uint32_t id) const;
  /** The id of the port with a number; 0 when there is none. */
  uint32_t IdOf(uint16_t number) const;

  /** Removes a port and waits until no thread uses it. The port ends here, if nobody else has it. */
  void Remove(uint32_t id);
  /**
   * Ends all threads and waits for that, not for longer than it takes to forward one batch and, if there is
   * something to drain, `drain`.
   *
   * @return what holds on to the ports, whose end may wait in the kernel
   */
  std::shared_ptr<const Topology> Close(std::chrono::milliseconds drain);
  bool closed() const { return run_.Load() != RunState::Mode::kRun; }

  size_t threads() const;

 private:
  friend class ForwardThread;

  void OnPort(PortSlot& slot, PortEvent event, int error) override;

  // With the lock:

  /** Who shall read another queue. Null when the system has no thread and none is there. */
  ForwardThread* ChooseReader();
  std::optional<uint16_t> FreeNumber() const;
  void Publish(std::shared_ptr<Topology> topology);
  std::vector<std::unique_ptr<ForwardThread>> TakeEnded();

  const Settings settings_;
  const std::unique_ptr<Rules> rules_;
  const Listener listener_;
  RunState run_;
  /** That of the topology in force. */
  std::atomic<uint64_t> generation_{0};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const Topology> topology_;
  std::vector<std::unique_ptr<ForwardThread>> threads_;
  /** Numbers of ports that are being removed. */
  std::vector<uint16_t> leaving_;
  uint32_t next_id_ = 1;
  size_t threads_started_ = 0;
};

}  // namespace linkwright
