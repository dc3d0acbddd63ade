#include "closer.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "thread.h"

namespace linkwright {

struct Closer::Batch {
  std::atomic<size_t> left;
  std::function<void()> done;
};

void Closer::Close(std::vector<Fd> fds, std::function<void()> done) {
  if (fds.empty()) {
    if (done) done();
    return;
  }
  auto batch = std::make_shared<Batch>();
  batch->left = fds.size();
  batch->done = std::move(done);
  bool stranded = false;
  {
    const std::lock_guard lock(mutex_);
    for (Fd& fd : fds)
      items_.push_back({std::move(fd), batch});
    while (threads_ < kMaxThreads && threads_ - busy_ < items_.size()) {
      if (!StartThread([self = shared_from_this()] { self->ThreadMain(); })) break;
      ++threads_;
    }
    if (threads_ == 0) {
      ++threads_;
      stranded = true;
    }
  }
  // Without a single thread the only choice left is between blocking and leaking.
  if (stranded) ThreadMain();
}

size_t Closer::threads() const {
  const std::lock_guard lock(mutex_);
  return threads_;
}

bool Closer::Holds(int fd) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(items_.begin(), items_.end(), [fd](const Item& item) { return item.fd.get() == fd; });
}

void Closer::ThreadMain() {
  std::unique_lock lock(mutex_);
  while (!items_.empty()) {
    Item item = std::move(items_.front());
    items_.pop_front();
    ++busy_;
    lock.unlock();
    item.fd.Reset();
    if (item.batch->left.fetch_sub(1) == 1 && item.batch->done) item.batch->done();
    item.batch.reset();
    lock.lock();
    --busy_;
  }
  --threads_;
}

}  // namespace linkwright
