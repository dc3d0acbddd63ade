#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "worker.h"

namespace linkwright {

/**
 * Plain threads for whatever may block in the kernel, apart from libuv's pool, which four requests under RTNL
 * would fill. They are started on demand, up to kMaxThreads, and end when they are idle. It knows nothing of
 * JavaScript: what is finished is queued, and `wake` is called.
 *
 * Threads keep the engine alive, not the other way round: one that is stuck in the kernel outlives its
 * environment.
 */
class Engine : public std::enable_shared_from_this<Engine> {
 public:
  using Task = std::function<void(Worker&)>;
  using Delivery = std::function<void()>;

  static constexpr size_t kMaxThreads = 16;

  /** @param wake called with the engine's lock held, from any thread, never after Close() has returned */
  explicit Engine(std::function<void()> wake) : wake_(std::move(wake)) {}

  /** Queues a task. False when the engine is closed or the system has no thread for it. */
  bool Run(Task task);

  /** Queues something for the JavaScript thread. Dropped, on the calling thread, when the engine is closed.
   */
  void Deliver(Delivery delivery);

  /** All that waits for the JavaScript thread. */
  std::vector<Delivery> TakeDeliveries();

  /** Drops what has not begun. Waits for nobody. */
  void Close();

  size_t threads() const;
  bool closed() const;
  /** Whether tasks wait for a thread. */
  bool HasWaiting() const;

 private:
  void ThreadMain();

  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Task> tasks_;
  std::vector<Delivery> deliveries_;
  std::function<void()> wake_;
  size_t threads_ = 0;
  size_t idle_ = 0;
  bool closed_ = false;
};

}  // namespace linkwright
