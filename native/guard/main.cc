// The dead-man's switch: a process of its own that puts a host's network back when its parent does not
// confirm a change, or dies. It has no event loop of Node's, no terminal and no threads.
//
// linkwright-guard PID OUTCOME NETNS: the parent, a file for the outcome or '', and whether a namespace is
// given (0 or 1).

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sched.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include "../fd.h"
#include "watch.h"

namespace linkwright::guard {
namespace {

/** What ends the parent's session or stops its terminal must not end this. */
void IgnoreSignals() {
  for (const int number :
       {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2})
    (void)::signal(number, SIG_IGN);
  sigset_t none;
  (void)::sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/** Others may come first when memory runs out, and none of its own is swapped out. Both take rights. */
void OutliveOthers() {
  const Fd score(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (score && ::write(score.get(), "-1000", 5) < 0 && ::write(score.get(), "0", 1) < 0) return;
#ifndef __SANITIZE_ADDRESS__
  (void)::mlockall(MCL_CURRENT | MCL_FUTURE);
#endif
}

/** Entering the one it is in already would take rights that one may do without. */
bool IsInside(int netns) {
  struct stat own {};
  struct stat other {};
  return ::stat("/proc/self/ns/net", &own) == 0 && ::fstat(netns, &other) == 0 &&
         own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

int Main(int argc, char** argv) {
  if (argc != 4) return 2;
  (void)::setsid();
  (void)::umask(077);
  (void)::chdir("/");
  IgnoreSignals();
  const bool enters = argv[3][0] == '1';
  if (enters && !IsInside(kNamespace) && ::setns(kNamespace, CLONE_NEWNET) != 0) {
    const std::string line = "refused " + std::to_string(errno) + " -\n";
    (void)!::write(kReports, line.data(), line.size());
    return 1;
  }
  // Whatever the parent had open is not ours to keep open.
  (void)::syscall(SYS_close_range, kNamespace, ~0U, 0);
  OutliveOthers();
  Watch watch(static_cast<pid_t>(std::strtol(argv[1], nullptr, 10)), argv[2]);
  return watch.Run();
}

}  // namespace
}  // namespace linkwright::guard

int main(int argc, char** argv) {
  return linkwright::guard::Main(argc, argv);
}
