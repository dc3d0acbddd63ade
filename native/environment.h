#pragma once

#include <napi.h>
#include <uv.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <unordered_set>
#include <utility>

#include "closer.h"
#include "deferred.h"
#include "engine.h"
#include "error.h"
#include "lane.h"
#include "result.h"
#include "uv_block.h"

namespace linkwright {

class Environment;

/** Something that holds on to system resources, and lets go of them when its environment ends. */
class Resource {
 public:
  virtual void Shutdown() = 0;

 protected:
  ~Resource() = default;
};

/** What one JavaScript environment (the main thread or a worker) has: nothing is shared between them. */
class Environment : public std::enable_shared_from_this<Environment> {
 public:
  /** The classes that native code makes instances of. */
  struct Classes {
    Napi::FunctionReference netlink_socket;
    Napi::FunctionReference descriptors;
    Napi::FunctionReference poller;
    Napi::FunctionReference child_process;
    Napi::FunctionReference port;
    Napi::FunctionReference forwarder;
    Napi::FunctionReference frame_queue;
  };

  static std::shared_ptr<Environment> Install(Napi::Env env);
  static std::shared_ptr<Environment> Of(Napi::Env env);

  explicit Environment(Napi::Env env) : env_(env) {}
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  Napi::Env env() const { return env_; }
  Engine& engine() { return *engine_; }
  Closer& closer() { return *closer_; }
  const std::shared_ptr<Engine>& shared_engine() const { return engine_; }
  const std::shared_ptr<OpenHandles>& handles() const { return handles_; }
  Napi::AsyncContext& async_context() { return *async_context_; }

  /** Counts something that is under way, which keeps the event loop alive if it shall. */
  void Begin(bool keep_alive);
  void End(bool keep_alive);
  size_t pending() const { return pending_; }

  /** Whether a descriptor belongs to an object here, or to one that is gone and has not closed it yet. */
  bool HasOwner(int fd) const { return descriptors.count(fd) != 0 || closer_->Holds(fd); }

  void Add(Resource* resource) { resources_.insert(resource); }
  void Remove(Resource* resource) { resources_.erase(resource); }

  /**
   * Runs `work`, which returns a Result, on a thread of the engine; resolves with what `present` makes of its
   * value, here. With a lane, after what was given to that before.
   */
  template <typename Work, typename Present>
  Napi::Value Async(Work work, Present present, const std::shared_ptr<Lane>& lane = nullptr);

  Classes classes;
  /** Open netlink sockets, and descriptors that have an owner here. */
  size_t sockets = 0;
  std::unordered_set<int> descriptors;
  /** Where many TUNs and TAPs are opened. */
  const std::shared_ptr<Lane> tun_lane = std::make_shared<Lane>();

 private:
  static void OnCleanup(napi_async_cleanup_hook_handle hook, void* self);

  bool Open();
  void Drain();
  void Shutdown(napi_async_cleanup_hook_handle hook);

  const Napi::Env env_;
  std::shared_ptr<OpenHandles> handles_ = std::make_shared<OpenHandles>();
  std::shared_ptr<Closer> closer_ = std::make_shared<Closer>();
  std::shared_ptr<Engine> engine_;
  UvHandle<uv_async_t> wakeup_;
  std::unique_ptr<Napi::AsyncContext> async_context_;
  std::unordered_set<Resource*> resources_;
  size_t pending_ = 0;
  size_t keeping_alive_ = 0;
};

/** Work may want to know the thread that it runs on. */
template <typename Work>
auto RunWork(Work& work, Worker& worker) {
  if constexpr (std::is_invocable_v<Work&, Worker&>) {
    return work(worker);
  } else {
    return work();
  }
}

template <typename Work, typename Present>
Napi::Value Environment::Async(Work work, Present present, const std::shared_ptr<Lane>& lane) {
  struct Call {
    std::optional<Work> work;
    Present present;
    Deferred deferred;
    decltype(RunWork(std::declval<Work&>(), std::declval<Worker&>())) result;
  };
  auto call = std::make_shared<Call>(Call{std::move(work), std::move(present), Deferred(env_), {}});
  // Nothing is begun that nobody would own.
  if (!call->deferred) return {};
  Begin(true);
  Engine::Task task = [this, call](Worker& worker) {
    call->result = RunWork(*call->work, worker);
    // What it owns is let go of here, not on the JavaScript thread.
    call->work.reset();
    // `this` is only used again on the JavaScript thread, which drops deliveries when the environment ends.
    worker.engine().Deliver([this, call] {
      End(true);
      if (call->result) {
        call->deferred.Resolve(call->present(std::move(call->result.value)));
      } else {
        call->deferred.Reject(call->result.failure);
      }
    });
  };
  const bool accepted = lane ? lane->Run(*engine_, std::move(task)) : engine_->Run(std::move(task));
  if (!accepted) {
    End(true);
    call->deferred.Reject({EAGAIN, "pthread_create"});
  }
  return call->deferred.Promise();
}

}  // namespace linkwright
