#include "processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <utility>
#include <vector>

#include "../fd.h"

namespace linkwright::guard {
namespace {

/** For what was killed to be gone, in milliseconds. */
constexpr int kAfterKill = 2000;
/** Looks for what it forked meanwhile. */
constexpr int kLooks = 4;

std::string PathOf(pid_t pid, const char* what) {
  return "/proc/" + std::to_string(pid) + "/" + what;
}

std::string Content(const std::string& path) {
  std::string content;
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> part;
  ssize_t bytes = 0;
  while (file && (bytes = ::read(file.get(), part.data(), part.size())) > 0)
    content.append(part.data(), static_cast<size_t>(bytes));
  return content;
}

/** Words of /proc/PID/stat from field 3 on: the name before it may have any characters. */
std::vector<std::string> StatOf(pid_t pid) {
  const std::string text = Content(PathOf(pid, "stat"));
  std::vector<std::string> words;
  const size_t name = text.rfind(')');
  if (name == std::string::npos) return words;
  for (size_t from = name + 2; from < text.size();) {
    const size_t to = std::min(text.find_first_of(" \n", from), text.size());
    words.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return words;
}

Fd OpenProcess(pid_t pid) {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

int Send(const Fd& process, int number) {
  const bool sent = ::syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0) == 0;
  return sent || errno == ESRCH ? 0 : errno;
}

bool HasArgument(pid_t pid, const std::string& argument) {
  const std::string line = Content(PathOf(pid, "cmdline"));
  for (size_t from = 0; from < line.size();) {
    const size_t to = std::min(line.find('\0', from), line.size());
    if (line.compare(from, to - from, argument) == 0) return true;
    from = to + 1;
  }
  return false;
}

bool Runs(pid_t pid, const std::string& name) {
  std::array<char, PATH_MAX> target;
  const ssize_t length = ::readlink(PathOf(pid, "exe").c_str(), target.data(), target.size());
  if (length <= 0) return false;
  std::string path(target.data(), static_cast<size_t>(length));
  // One that was upgraded meanwhile runs on from a file that is deleted.
  const std::string deleted = " (deleted)";
  if (path.size() > deleted.size() &&
      path.compare(path.size() - deleted.size(), deleted.size(), deleted) == 0)
    path.resize(path.size() - deleted.size());
  return path.substr(path.rfind('/') + 1) == name;
}

bool IsInOurNamespace(pid_t pid) {
  struct stat own {};
  struct stat its {};
  return ::stat("/proc/self/ns/net", &own) == 0 && ::stat(PathOf(pid, "ns/net").c_str(), &its) == 0 &&
         own.st_ino == its.st_ino && own.st_dev == its.st_dev;
}

/** Held by pidfds, and compared while they are. */
std::vector<Fd> Find(const std::string& name, const std::string& argument) {
  std::vector<Fd> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc"), &::closedir);
  if (!folder) return found;
  while (const dirent* const entry = ::readdir(folder.get())) {
    const auto pid = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    if (pid <= 0 || !HasArgument(pid, argument)) continue;
    Fd process = OpenProcess(pid);
    if (process && HasArgument(pid, argument) && Runs(pid, name) && IsInOurNamespace(pid))
      found.push_back(std::move(process));
  }
  return found;
}

/** Whether all have ended within so many milliseconds. */
bool AwaitEnd(const std::vector<Fd>& processes, int milliseconds) {
  for (const Fd& process : processes) {
    timespec start{};
    (void)::clock_gettime(CLOCK_MONOTONIC, &start);
    pollfd source{process.get(), POLLIN, 0};
    if (::poll(&source, 1, std::max(milliseconds, 0)) <= 0) return false;
    timespec end{};
    (void)::clock_gettime(CLOCK_MONOTONIC, &end);
    milliseconds -=
        static_cast<int>((end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1'000'000);
  }
  return true;
}

int SendAll(const std::vector<Fd>& processes, int number) {
  int first = 0;
  for (const Fd& process : processes) {
    const int error = Send(process, number);
    if (first == 0) first = error;
  }
  return first;
}

}  // namespace

int SignalProcess(pid_t pid, uint64_t start_time, int number) {
  const Fd process = OpenProcess(pid);
  if (!process) return errno == ESRCH ? 0 : errno;
  constexpr size_t kStartTime = 22 - 3;
  const std::vector<std::string> words = StatOf(pid);
  if (words.size() <= kStartTime) return 0;
  if (std::strtoull(words[kStartTime].c_str(), nullptr, 10) != start_time) return 0;
  return Send(process, number);
}

int StopProgram(const std::string& name, const std::string& argument, int milliseconds) {
  for (int look = 0; look < kLooks; ++look) {
    const std::vector<Fd> processes = Find(name, argument);
    if (processes.empty()) return 0;
    if (const int error = SendAll(processes, SIGTERM)) return error;
    if (AwaitEnd(processes, milliseconds)) continue;
    if (const int error = SendAll(processes, SIGKILL)) return error;
    if (!AwaitEnd(processes, kAfterKill)) return EBUSY;
  }
  return EBUSY;
}

}  // namespace linkwright::guard
