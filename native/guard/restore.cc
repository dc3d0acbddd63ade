#include "restore.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "../fd.h"

namespace linkwright::guard {
namespace {

constexpr int kPasses = 4;
/** Between them: others change the tables, or a lock is held. */
constexpr timespec kPause{0, 100'000'000};

int WriteFile(const Operation& operation) {
  const Fd file(::open(operation.path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return errno;
  return ::write(file.get(), operation.bytes.data(), operation.bytes.size()) < 0 ? errno : 0;
}

int Signal(const Operation& operation) {
  if (!operation.process || !*operation.process) return ESRCH;
  return ::syscall(SYS_pidfd_send_signal, operation.process->get(), operation.number, nullptr, 0) < 0 ? errno
                                                                                                      : 0;
}

int Pause(const Operation& operation) {
  const timespec time{operation.number / 1000, static_cast<long>(operation.number % 1000) * 1'000'000};
  (void)::nanosleep(&time, nullptr);
  return 0;
}

int Run(Netlink& netlink, Operation& operation) {
  if (operation.kind == Operation::Kind::kNetlink)
    return netlink.Run(operation.number, operation.atomic, operation.bytes, operation.settled);
  if (operation.kind == Operation::Kind::kPause) return Pause(operation);
  const int error = operation.kind == Operation::Kind::kWrite ? WriteFile(operation) : Signal(operation);
  const std::vector<int>& settled = operation.settled;
  return std::find(settled.begin(), settled.end(), error) == settled.end() ? error : 0;
}

}  // namespace

int Prepare(Netlink& netlink, const Program& program) {
  for (const Operation& operation : program) {
    if (operation.kind != Operation::Kind::kNetlink) continue;
    if (const int error = netlink.Prepare(operation.number)) return error;
  }
  return 0;
}

std::vector<Setback> Restore(Netlink& netlink, Program& program) {
  std::vector<Setback> setbacks;
  for (int pass = 0; pass < kPasses; ++pass) {
    if (pass > 0) (void)::nanosleep(&kPause, nullptr);
    setbacks.clear();
    for (size_t at = 0; at < program.size(); ++at) {
      const int error = Run(netlink, program[at]);
      if (error != 0 && !program[at].best_effort) setbacks.push_back({at, error});
    }
    if (setbacks.empty()) break;
  }
  return setbacks;
}

}  // namespace linkwright::guard
