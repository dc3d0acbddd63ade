#include "thread.h"

#include <pthread.h>
#include <sched.h>

#include <csignal>
#include <memory>
#include <string>
#include <utility>

namespace linkwright {
namespace {

// Only virtual memory; musl's default of 128 KiB would be small for the sanitizers.
constexpr size_t kStackBytes = size_t{512} * 1024;

// With the NUL.
constexpr size_t kLongestName = 16;
constexpr char kName[] = "linkwright";

struct Start {
  std::string name;
  std::function<void()> body;
};

void* Trampoline(void* argument) {
  const std::unique_ptr<Start> start(static_cast<Start*>(argument));
  pthread_setname_np(pthread_self(), start->name.c_str());
  start->body();
  return nullptr;
}

// std::thread would end the process when there are no threads left: exceptions are off.
bool Create(const char* name, std::function<void()> body, int detach_state, pthread_t* thread) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return false;
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, detach_state);

  // Signals are Node's: a thread of ours must not be picked to run its handlers.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  auto owned = std::make_unique<Start>();
  owned->name = std::string(name).substr(0, kLongestName - 1);
  owned->body = std::move(body);
  const bool started = pthread_create(thread, &attributes, Trampoline, owned.get()) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (started) (void)owned.release();
  return started;
}

}  // namespace

// The kernel works for milliseconds at a time on these: woken by the JavaScript thread, they must not take
// its place.
void YieldToWaker() {
  const sched_param none{};
  if (sched_getscheduler(0) == SCHED_OTHER) (void)sched_setscheduler(0, SCHED_BATCH, &none);
}

bool StartThread(std::function<void()> body) {
  pthread_t thread;
  const auto run = [body = std::move(body)] {
    YieldToWaker();
    body();
  };
  return Create(kName, run, PTHREAD_CREATE_DETACHED, &thread);
}

bool RunOnThread(std::function<void()> body) {
  pthread_t thread;
  if (!Create(kName, std::move(body), PTHREAD_CREATE_JOINABLE, &thread)) return false;
  pthread_join(thread, nullptr);
  return true;
}

bool Thread::Start(const char* name, std::function<void()> body) {
  pthread_t thread;
  if (!Create(name, std::move(body), PTHREAD_CREATE_JOINABLE, &thread)) return false;
  thread_ = thread;
  return true;
}

void Thread::Join() {
  if (thread_) pthread_join(*thread_, nullptr);
  thread_.reset();
}

}  // namespace linkwright
