#pragma once

#include <pthread.h>

#include <functional>
#include <optional>

namespace linkwright {

/** Starts a thread that nobody waits for. False when the system has none left. */
bool StartThread(std::function<void()> body);

/** Runs something on a thread of its own and waits for it. False when the system has none left. */
bool RunOnThread(std::function<void()> body);

/** A thread that is waited for, at the latest when this is destroyed. */
class Thread {
 public:
  Thread() = default;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { Join(); }

  /**
   * Once. False when the system has none left.
   *
   * @param name as tools show it; 15 bytes are kept
   */
  bool Start(const char* name, std::function<void()> body);
  void Join();

 private:
  std::optional<pthread_t> thread_;
};

}  // namespace linkwright
