#pragma once

#include <deque>
#include <memory>
#include <mutex>

#include "engine.h"

namespace linkwright {

/** Tasks that threads of the engine run one after the other, in the order given. */
class Lane : public std::enable_shared_from_this<Lane> {
 public:
  /** As Engine::Run(). To be called from one thread. */
  bool Run(Engine& engine, Engine::Task task);

 private:
  void RunAll(Worker& worker);

  std::mutex mutex_;
  std::deque<Engine::Task> tasks_;
  bool running_ = false;
};

}  // namespace linkwright
