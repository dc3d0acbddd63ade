#include "process_scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "abi.h"
#include "fd.h"
#include "tap_sysfs.h"
#include "tun_ioctl.h"

namespace linkwright {
namespace {

// TUN_MINOR of linux/miscdevice.h; the node may be anywhere, such as in a jail.
constexpr unsigned int kMiscMajor = 10;
constexpr unsigned int kTunMinor = 200;

/** A namespace is what its inode is. */
struct NetnsId {
  dev_t device = 0;
  ino_t inode = 0;

  bool operator==(const NetnsId& other) const { return device == other.device && inode == other.inode; }
};

/** The query as it looks to the scan. */
struct Target {
  NetnsId netns;
  std::unordered_map<std::string, size_t> names;
  std::unordered_map<dev_t, size_t> numbers;
  std::vector<size_t> unknown;
};

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

Result<NetnsId> IdOf(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return LastFailure("fstat");
  return NetnsId{status.st_dev, status.st_ino};
}

/** To be called in the namespace. */
Result<Target> Locate(const HolderQuery& query) {
  Target target;
  const Result<Fd> own = OpenNetns(-1);
  if (!own) return own.failure;
  const Result<NetnsId> id = IdOf(own.value.get());
  if (!id) return id.failure;
  target.netns = id.value;
  for (size_t at = 0; at < query.names.size(); ++at)
    target.names.emplace(query.names[at], at);
  if (query.macvtaps.empty()) return target;
  const Result<TapSysfs> sysfs = TapSysfs::Open();
  for (size_t at = 0; at < query.macvtaps.size(); ++at) {
    const auto& [name, index, address] = query.macvtaps[at];
    const size_t link = query.names.size() + at;
    const Result<dev_t> number = sysfs ? sysfs.value.NumberOf(name, index, address, false) : sysfs.failure;
    if (number) {
      target.numbers.emplace(number.value, link);
    } else {
      target.unknown.push_back(link);
    }
  }
  return target;
}

/** The beginning of a small file; empty, with errno set, when it cannot be read. */
std::string ReadText(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return "";
  std::array<char, 512> buffer;
  const ssize_t bytes = ::read(file.get(), buffer.data(), buffer.size());
  return bytes <= 0 ? "" : std::string(buffer.data(), static_cast<size_t>(bytes));
}

/** A line of a descriptor's fdinfo, behind its label; empty when there is none. */
std::string LineOf(const std::string& text, const std::string& label) {
  const size_t label_at = text.find("\n" + label);
  if (label_at == std::string::npos) return "";
  // A tab, or a blank.
  const size_t from = label_at + label.size() + 2;
  return text.substr(from, text.find('\n', from) - from);
}

/** A positive number without anything else; 0 otherwise. */
int ParseNumber(const char* text) {
  char* end = nullptr;
  const long number = std::strtol(text, &end, 10);
  return end != text && *end == '\0' && number > 0 ? static_cast<int>(number) : 0;
}

/** What went away while it was looked at. */
bool IsGone(int error) {
  return error == ENOENT || error == ESRCH || error == EBADF;
}

class Scan {
 public:
  Scan(Target target, const std::vector<int>& excluded)
      : target_(std::move(target)), excluded_(excluded.begin(), excluded.end()) {
    found_.unknown = target_.unknown;
  }

  Result<HolderScan> Run();

 private:
  enum class Verdict { kOurs, kOther, kGone, kUnknown };

  struct Process {
    pid_t pid;
    std::string path;
    Fd pidfd;
    /** Position among those found; SIZE_MAX until it holds something. */
    size_t position = SIZE_MAX;
    std::unordered_set<size_t> links;
  };

  /** Descriptors of a process, or of a thread that has its own. */
  struct Table {
    std::string path;
    bool of_thread = false;
    /** As they are listed: ascending. */
    std::vector<int> numbers;
  };

  void LookAtProcess(pid_t pid);
  void LookAt(Process& process, const Table& table);
  void LookAtTun(Process& process, const Table& table, int fd);
  void Add(Process& process, size_t link);
  Table List(std::string path, bool of_thread);
  /** Whether a descriptor is that of a device in the namespace. */
  Verdict Judge(Process& process, int fd, const std::string& name);
  Verdict JudgeDevice(int fd, const std::string& name) const;
  bool SharesTable(pid_t pid, pid_t task) const;
  bool IsSelf(const Process& process) const { return process.pid == self_; }
  void Missed(int error) { found_.incomplete |= !IsGone(error); }

  const Target target_;
  const std::unordered_set<int> excluded_;
  HolderScan found_;
  /** This process by the numbers of /proc; 0 when they are those of another pid namespace. */
  pid_t self_ = 0;
};

Result<HolderScan> Scan::Run() {
  const Directory processes(::opendir("/proc"));
  if (!processes) return LastFailure("opendir(/proc)");
  std::array<char, 16> self{};
  if (::readlink("/proc/self", self.data(), self.size() - 1) > 0 && ParseNumber(self.data()) == ::getpid()) {
    self_ = ::getpid();
  }
  bool all_shown = false;
  while (const dirent* const entry = ::readdir(processes.get())) {
    const pid_t pid = ParseNumber(entry->d_name);
    if (pid == 0) continue;
    all_shown |= pid == 1;
    LookAtProcess(pid);
  }
  // There always is a first process: a mount of /proc that does not show it hides others as well (hidepid).
  found_.incomplete |= !all_shown;
  return std::move(found_);
}

void Scan::LookAtProcess(pid_t pid) {
  Process process{pid, "/proc/" + std::to_string(pid), Fd(), SIZE_MAX, {}};
  const Table table = List(process.path, false);
  LookAt(process, table);
  const Directory tasks(::opendir((process.path + "/task").c_str()));
  if (!tasks) return Missed(errno);
  while (const dirent* const entry = ::readdir(tasks.get())) {
    const pid_t task = ParseNumber(entry->d_name);
    if (task == 0 || task == pid || SharesTable(pid, task)) continue;
    // A thread may have descriptors of its own, and outlive the first. A kernel without kcmp() leaves the
    // comparison to us.
    const Table other = List(process.path + "/task/" + entry->d_name, true);
    if (other.numbers != table.numbers) LookAt(process, other);
  }
}

bool Scan::SharesTable(pid_t pid, pid_t task) const {
  return self_ != 0 && ::syscall(SYS_kcmp, pid, task, KCMP_FILES, 0, 0) == 0;
}

Scan::Table Scan::List(std::string path, bool of_thread) {
  Table table{std::move(path), of_thread, {}};
  const Directory directory(::opendir((table.path + "/fd").c_str()));
  if (!directory) {
    Missed(errno);
    return table;
  }
  while (const dirent* const entry = ::readdir(directory.get())) {
    if (entry->d_name[0] != '.') table.numbers.push_back(std::atoi(entry->d_name));
  }
  return table;
}

void Scan::LookAt(Process& process, const Table& table) {
  for (const int fd : table.numbers) {
    if (IsSelf(process) && excluded_.count(fd) != 0) continue;
    const std::string path = table.path + "/fd/" + std::to_string(fd);
    // Without asking a file server that may not answer.
    struct statx status {};
    if (::statx(-1, path.c_str(), AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &status) != 0) {
      Missed(errno);
    } else if (S_ISCHR(status.stx_mode)) {
      const auto held = target_.numbers.find(makedev(status.stx_rdev_major, status.stx_rdev_minor));
      if (held != target_.numbers.end()) Add(process, held->second);
      const bool tun = status.stx_rdev_major == kMiscMajor && status.stx_rdev_minor == kTunMinor;
      if (tun && !target_.names.empty()) LookAtTun(process, table, fd);
    } else if (S_ISSOCK(status.stx_mode)) {
      const std::string info = ReadText(table.path + "/fdinfo/" + std::to_string(fd));
      if (info.empty()) Missed(errno);
      found_.in_flight += static_cast<size_t>(ParseNumber(LineOf(info, "scm_fds:").c_str()));
    }
  }
}

void Scan::LookAtTun(Process& process, const Table& table, int fd) {
  const std::string info = ReadText(table.path + "/fdinfo/" + std::to_string(fd));
  if (info.empty()) return Missed(errno);
  // Names repeat across namespaces.
  const std::string name = LineOf(info, "iff:");
  const auto held = target_.names.find(name);
  if (held == target_.names.end() || process.links.count(held->second) != 0) return;
  const Verdict verdict = Judge(process, fd, name);
  // Only descriptors of the process can be looked at, so the same number of a thread's own table says little.
  const bool other = verdict == Verdict::kOther || (verdict == Verdict::kGone && !table.of_thread);
  if (!other) Add(process, held->second);
}

Scan::Verdict Scan::Judge(Process& process, int fd, const std::string& name) {
  if (self_ == 0) return Verdict::kUnknown;
  // Without a duplicate: what is closed meanwhile is not held open by us.
  if (IsSelf(process)) return JudgeDevice(fd, name);
  if (!process.pidfd) process.pidfd.Reset(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!process.pidfd) return IsGone(errno) ? Verdict::kGone : Verdict::kUnknown;
  const Fd duplicate(static_cast<int>(::syscall(SYS_pidfd_getfd, process.pidfd.get(), fd, 0)));
  if (!duplicate) return IsGone(errno) ? Verdict::kGone : Verdict::kUnknown;
  return JudgeDevice(duplicate.get(), name);
}

Scan::Verdict Scan::JudgeDevice(int fd, const std::string& name) const {
  // Closed, or its device deleted.
  const Result<TunInterface> interface = GetTunInterface(fd);
  if (!interface) return Verdict::kGone;
  // Renamed meanwhile, or the same number of another table.
  if (interface.value.name != name) return Verdict::kUnknown;
  const Fd netns(::ioctl(fd, TUNGETDEVNETNS));
  if (!netns) return Verdict::kUnknown;
  const Result<NetnsId> id = IdOf(netns.get());
  if (!id) return Verdict::kUnknown;
  return id.value == target_.netns ? Verdict::kOurs : Verdict::kOther;
}

void Scan::Add(Process& process, size_t link) {
  if (!process.links.insert(link).second) return;
  if (process.position == SIZE_MAX) {
    process.position = found_.processes.size();
    std::string command = ReadText(process.path + "/comm");
    command.erase(std::min(command.size(), command.find('\n')));
    found_.processes.push_back({process.pid, command});
  }
  found_.holdings.push_back({link, process.position});
}

}  // namespace

Result<HolderScan> FindHolders(const Netns& netns, const HolderQuery& query) {
  Result<Target> target = netns.Run([&] { return Locate(query); });
  if (!target) return target.failure;
  return Scan(std::move(target.value), query.excluded).Run();
}

}  // namespace linkwright
