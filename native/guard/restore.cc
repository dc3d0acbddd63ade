#include "restore.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <string>

#include "../fd.h"
#include "processes.h"

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

int RemoveFile(const Operation& operation) {
  if (::unlink(operation.path.c_str()) == 0 || errno == ENOENT) return 0;
  if (errno != EISDIR && errno != EPERM) return errno;
  const int error = errno;
  if (::rmdir(operation.path.c_str()) == 0 || errno == ENOENT || errno == ENOTEMPTY) return 0;
  return errno == ENOTDIR ? error : errno;
}

int Attempt(Netlink& netlink, Operation& operation) {
  switch (operation.kind) {
    case Operation::Kind::kNetlink:
      return netlink.Run(operation.number, operation.atomic, operation.bytes, operation.settled);
    case Operation::Kind::kWrite:
      return WriteFile(operation);
    case Operation::Kind::kRemove:
      return RemoveFile(operation);
    case Operation::Kind::kSignal:
      return SignalProcess(operation.id, operation.large, operation.number);
    case Operation::Kind::kStop:
      return StopProgram(operation.path, std::string(operation.bytes.begin(), operation.bytes.end()),
                         operation.number);
    case Operation::Kind::kAwait:
      return netlink.AwaitUp(operation.id, operation.number);
    case Operation::Kind::kAwaitLocal:
      return netlink.AwaitLocal(operation.id, operation.large, operation.number);
  }
  return EINVAL;
}

int Run(Netlink& netlink, Operation& operation) {
  const int error = Attempt(netlink, operation);
  const std::vector<int>& settled = operation.settled;
  return std::find(settled.begin(), settled.end(), error) == settled.end() ? error : 0;
}

}  // namespace

int Prepare(Netlink& netlink, const Program& program) {
  if (const int error = netlink.MayChange()) return error;
  for (const Operation& operation : program) {
    if (operation.kind != Operation::Kind::kNetlink) continue;
    const int error = netlink.Prepare(operation.number);
    if (error != 0 && !operation.best_effort) return error;
  }
  return 0;
}

std::vector<Setback> Restore(Netlink& netlink, Program& program) {
  std::vector<Setback> setbacks;
  for (int pass = 0; pass < kPasses; ++pass) {
    if (pass > 0) (void)::nanosleep(&kPause, nullptr);
    setbacks.clear();
    for (size_t at = 0; at < program.size(); ++at) {
      Operation& operation = program[at];
      const int error = Run(netlink, operation);
      if (error != 0 && !operation.best_effort) setbacks.push_back({at, error});
    }
    if (setbacks.empty()) break;
  }
  return setbacks;
}

}  // namespace linkwright::guard
