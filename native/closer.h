#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "fd.h"

namespace linkwright {

/**
 * Closes descriptors on threads of its own. Closing a TAP waits for RCU grace periods (20 to 100 ms each), so
 * several are closed side by side, and none of it holds up the engine's requests. It outlives its environment
 * until it is done.
 */
class Closer : public std::enable_shared_from_this<Closer> {
 public:
  /** They wait rather than work: with 32 a row of macvtaps is closed four times as fast as with 8. */
  static constexpr size_t kMaxThreads = 32;

  /** @param done called on one of the threads once all are closed; may be empty */
  void Close(std::vector<Fd> fds, std::function<void()> done);

  size_t threads() const;
  /** Whether a descriptor still waits for its turn. Its number is not free until then. */
  bool Holds(int fd) const;

 private:
  struct Batch;
  struct Item {
    Fd fd;
    std::shared_ptr<Batch> batch;
  };

  void ThreadMain();

  mutable std::mutex mutex_;
  std::deque<Item> items_;
  size_t threads_ = 0;
  /** Of those, how many are closing something right now. */
  size_t busy_ = 0;
};

}  // namespace linkwright
