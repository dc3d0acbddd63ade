#include "engine.h"

#include <chrono>
#include <utility>

#include "thread.h"

namespace linkwright {
namespace {

constexpr auto kIdleTime = std::chrono::seconds(5);

}  // namespace

bool Engine::Run(Task task) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  // Started with the lock held: it is rare, and the count must not lie to whoever comes next.
  if (idle_ <= tasks_.size() && threads_ < kMaxThreads) {
    if (StartThread([self = shared_from_this()] { self->ThreadMain(); })) {
      ++threads_;
    } else if (threads_ == 0) {
      return false;
    }
  }
  tasks_.push_back(std::move(task));
  work_.notify_one();
  return true;
}

void Engine::Deliver(Delivery delivery) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  deliveries_.push_back(std::move(delivery));
  if (deliveries_.size() == 1) wake_();
}

std::vector<Engine::Delivery> Engine::TakeDeliveries() {
  const std::lock_guard lock(mutex_);
  return std::exchange(deliveries_, {});
}

void Engine::Close() {
  struct Remains {
    std::deque<Task> tasks;
    std::vector<Delivery> deliveries;
  };
  auto remains = std::make_shared<Remains>();
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    wake_ = nullptr;
    remains->tasks = std::exchange(tasks_, {});
    remains->deliveries = std::exchange(deliveries_, {});
    work_.notify_all();
  }
  // They may own TAP descriptors, and closing one takes up to 100 ms.
  if (remains->tasks.empty() && remains->deliveries.empty()) return;
  StartThread([remains] {
    remains->deliveries.clear();
    remains->tasks.clear();
  });
}

size_t Engine::threads() const {
  const std::lock_guard lock(mutex_);
  return threads_;
}

bool Engine::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

bool Engine::HasWaiting() const {
  const std::lock_guard lock(mutex_);
  return !tasks_.empty();
}

void Engine::ThreadMain() {
  Worker worker(*this);
  std::unique_lock lock(mutex_);
  while (true) {
    if (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task(worker);
      // Destroyed without the lock: it may close descriptors.
      task = nullptr;
      lock.lock();
      continue;
    }
    if (closed_) break;
    ++idle_;
    const bool expired = work_.wait_for(lock, kIdleTime) == std::cv_status::timeout;
    --idle_;
    if (expired && tasks_.empty()) break;
  }
  --threads_;
}

}  // namespace linkwright
