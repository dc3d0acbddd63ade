#include "lane.h"

#include <utility>

namespace linkwright {

bool Lane::Run(Engine& engine, Engine::Task task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  if (running_) return true;
  running_ = engine.Run([self = shared_from_this()](Worker& worker) { self->RunAll(worker); });
  if (!running_) tasks_.pop_back();
  return running_;
}

void Lane::RunAll(Worker& worker) {
  while (true) {
    Engine::Task task;
    {
      const std::lock_guard lock(mutex_);
      running_ = !tasks_.empty() && !worker.engine().closed();
      if (!running_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task(worker);
  }
}

}  // namespace linkwright
