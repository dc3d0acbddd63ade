#include "thread.h"

#include <pthread.h>

#include <csignal>
#include <memory>
#include <utility>

namespace linkwright {
namespace {

// Only virtual memory; musl's default of 128 KiB would be small for the sanitizers.
constexpr size_t kStackBytes = size_t{512} * 1024;

void* Trampoline(void* argument) {
  const std::unique_ptr<std::function<void()>> body(static_cast<std::function<void()>*>(argument));
  pthread_setname_np(pthread_self(), "linkwright");
  (*body)();
  return nullptr;
}

// std::thread would end the process when there are no threads left: exceptions are off.
bool Create(std::function<void()> body, int detach_state, pthread_t* thread) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, detach_state);

  // Signals are Node's: a thread of ours must not be picked to run its handlers.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  auto owned = std::make_unique<std::function<void()>>(std::move(body));
  const bool started = pthread_create(thread, &attributes, Trampoline, owned.get()) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (started) (void)owned.release();
  return started;
}

}  // namespace

bool StartThread(std::function<void()> body) {
  pthread_t thread;
  return Create(std::move(body), PTHREAD_CREATE_DETACHED, &thread);
}

bool RunOnThread(std::function<void()> body) {
  pthread_t thread;
  if (!Create(std::move(body), PTHREAD_CREATE_JOINABLE, &thread)) return false;
  pthread_join(thread, nullptr);
  return true;
}

}  // namespace linkwright
