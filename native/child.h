#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "fd.h"
#include "result.h"

namespace linkwright {

struct SpawnOptions {
  /** A path: there is no search. */
  std::string file;
  /** With the name that the program is called by. */
  std::vector<std::string> arguments;
  /** `NAME=value`, and nothing else. */
  std::vector<std::string> environment;
  /** Empty for the directory of this process. */
  std::string directory;
  /** What the program has as 0, 1, 2, …; an empty one is /dev/null. It gets no others. */
  std::vector<Fd> stdio;
};

/** How a process ended. Neither is known of one that is somebody else's child. */
struct ExitStatus {
  std::optional<int> code;
  std::optional<int> signal;
};

/**
 * A process, held by a pidfd: never mistaken for a later one of the same pid. A child that is let go of is
 * reaped by a thread that waits for nothing else, so that it does not stay as a zombie.
 */
class Child {
 public:
  Child() = default;
  Child(Child&&) = default;
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { Leave(); }

  /**
   * Starts a program in the network namespace of the calling thread, which is held up until the program runs,
   * and may end then. It leads a session of its own, has no signal blocked or ignored, and no descriptor but
   * its stdio.
   *
   * What the program inherits is decided by clone(); there is deliberately no PR_SET_PDEATHSIG, which the
   * kernel sends when the *thread* ends that called clone(): here, at once.
   */
  static Result<Child> Spawn(SpawnOptions options);
  /** A process that runs already, and is perhaps nobody's child here. */
  static Result<Child> Open(pid_t pid);

  pid_t pid() const { return pid_; }
  int fd() const { return fd_.get(); }
  explicit operator bool() const { return static_cast<bool>(fd_); }

  /** Failure ESRCH when it has ended. */
  Failure Signal(int signal) const;
  /** Empty while it runs. Lets the kernel forget it otherwise. */
  std::optional<ExitStatus> Reap();
  /** Lets it run on. */
  void Leave();

 private:
  pid_t pid_ = 0;
  Fd fd_;
  /** Whether it is ours to reap. */
  bool ours_ = false;
};

}  // namespace linkwright
