#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <memory>
#include <utility>

#include "abi.h"
#include "thread.h"

namespace linkwright {
namespace {

/** What the child does between clone() and execve() is a few system calls. */
struct alignas(16) Stack {
  std::array<char, size_t{64} * 1024> bytes;
};

/** Descriptors are closed one by one up to here where close_range() is missing (before Linux 5.9). */
constexpr rlim_t kMostDescriptors = 65536;

constexpr int kNotStarted = 127;

/** All that the child needs, made before: it shares this process's memory and must not allocate. */
struct Start {
  const char* file = nullptr;
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  const char* directory = nullptr;
  const int* stdio = nullptr;
  int count = 0;
  /** Written by the child when it fails. */
  int error = 0;
  const char* syscall = nullptr;
};

void CloseFrom(int first) {
  if (::syscall(SYS_close_range, static_cast<unsigned int>(first), ~0U, 0U) == 0) return;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = kMostDescriptors;
  const int last = static_cast<int>(std::min(limit.rlim_cur, kMostDescriptors));
  for (int fd = first; fd < last; ++fd)
    ::close(fd);
}

const char* Become(const Start& start) {
  // Dispositions are the child's own (no CLONE_SIGHAND); ignored signals would stay ignored in the program.
  for (int signal = 1; signal < NSIG; ++signal)
    ::signal(signal, SIG_DFL);
  // A terminal's signals are for this process, and so is the end of its session.
  ::setsid();
  for (int fd = 0; fd < start.count; ++fd) {
    if (::dup2(start.stdio[fd], fd) < 0) return "dup2";
  }
  CloseFrom(start.count);
  if (start.directory != nullptr && ::chdir(start.directory) != 0) return "chdir";
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(start.file, start.arguments, start.environment);
  return "execve";
}

// It runs on a stack that the sanitizer knows nothing of.
__attribute__((no_sanitize("address"))) int ChildMain(void* argument) {
  Start* const start = static_cast<Start*>(argument);
  start->syscall = Become(*start);
  start->error = errno;
  ::_exit(kNotStarted);
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts)
    pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/** Descriptors above those that they become, so that none is overwritten before its turn. */
Result<std::vector<Fd>> Lift(const std::vector<Fd>& stdio) {
  std::vector<Fd> lifted;
  for (const Fd& fd : stdio) {
    const Fd null(fd ? -1 : ::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!fd && !null) return LastFailure("open(/dev/null)");
    lifted.emplace_back(::fcntl(fd ? fd.get() : null.get(), F_DUPFD_CLOEXEC, static_cast<int>(stdio.size())));
    if (!lifted.back()) return LastFailure("fcntl(F_DUPFD_CLOEXEC)");
  }
  return lifted;
}

/** Waits for a child that nobody asks about any more. */
void ReapElsewhere(Fd fd) {
  const auto shared = std::make_shared<Fd>(std::move(fd));
  // Without a thread it stays a zombie until this process ends, which is all that is lost.
  (void)StartThread([shared] {
    pollfd poll{shared->get(), POLLIN, 0};
    while (::poll(&poll, 1, -1) < 0 && errno == EINTR) {
    }
    siginfo_t info{};
    ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(shared->get()), &info,
             WEXITED | WNOHANG | __WALL);
  });
}

}  // namespace

Child& Child::operator=(Child&& other) noexcept {
  if (this == &other) return *this;
  Leave();
  pid_ = other.pid_;
  fd_ = std::move(other.fd_);
  ours_ = other.ours_;
  return *this;
}

Result<Child> Child::Spawn(SpawnOptions options) {
  Result<std::vector<Fd>> lifted = Lift(options.stdio);
  if (!lifted) return lifted.failure;
  std::vector<int> stdio;
  for (const Fd& fd : lifted.value)
    stdio.push_back(fd.get());
  const std::vector<char*> arguments = Pointers(options.arguments);
  const std::vector<char*> environment = Pointers(options.environment);
  Start start;
  start.file = options.file.c_str();
  start.arguments = arguments.data();
  start.environment = environment.data();
  start.directory = options.directory.empty() ? nullptr : options.directory.c_str();
  start.stdio = stdio.data();
  start.count = static_cast<int>(stdio.size());

  // As posix_spawn() does it: the child borrows the memory, and this thread waits until it has its own.
  // Nothing of a large process is copied, and what the child writes is here when clone() returns.
  const auto stack = std::make_unique<Stack>();
  // No handler of Node's may run in memory that two processes share.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int pidfd = -1;
  const int pid = ::clone(ChildMain, stack->bytes.data() + stack->bytes.size(),
                          CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &start, &pidfd);
  const Failure failure = pid < 0 ? LastFailure("clone(CLONE_PIDFD)") : Failure{};
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failure) return failure;
  Child child;
  child.pid_ = pid;
  child.fd_.Reset(pidfd);
  child.ours_ = true;
  if (start.error != 0) {
    const std::string syscall = start.syscall;
    return Failure{start.error, syscall == "chdir" ? syscall + "(" + options.directory + ")" : syscall};
  }
  return child;
}

Result<Child> Child::Open(pid_t pid) {
  Child child;
  child.pid_ = pid;
  child.fd_.Reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!child.fd_) return LastFailure("pidfd_open");
  return child;
}

Failure Child::Signal(int signal) const {
  if (!fd_) return {ESRCH, "pidfd_send_signal"};
  const auto sent = ::syscall(SYS_pidfd_send_signal, fd_.get(), signal, nullptr, 0);
  return sent == 0 ? Failure{} : LastFailure("pidfd_send_signal");
}

std::optional<ExitStatus> Child::Reap() {
  pollfd poll{fd_.get(), POLLIN, 0};
  if (::poll(&poll, 1, 0) <= 0) return std::nullopt;
  ExitStatus status;
  siginfo_t info{};
  const int waited = !ours_ ? -1
                            : ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(fd_.get()), &info,
                                       WEXITED | WNOHANG | __WALL);
  ours_ = false;
  if (waited == 0 && info.si_pid != 0) {
    if (info.si_code == CLD_EXITED) {
      status.code = info.si_status;
    } else {
      status.signal = info.si_status;
    }
  }
  return status;
}

void Child::Leave() {
  if (fd_ && ours_ && !Reap()) ReapElsewhere(std::move(fd_));
  fd_.Reset();
}

}  // namespace linkwright
