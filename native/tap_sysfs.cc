#include "tap_sysfs.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "abi.h"
#include "fd.h"

namespace linkwright {
namespace {

// From linux/mount.h, which clashes with sys/mount.h on some systems.
constexpr unsigned int kFsopenCloexec = 1;
constexpr unsigned int kFsmountCloexec = 1;
constexpr unsigned int kFsconfigCreate = 6;
// MOUNT_ATTR_RDONLY, _NOSUID, _NODEV and _NOEXEC: a user namespace may not mount it with less than /sys has.
constexpr unsigned int kMountAttributes = 1 | 2 | 4 | 8;

constexpr int kAttempts = 10;
constexpr int kAttemptMs = 20;

/**
 * A sysfs that shows the calling thread's network namespace, mounted nowhere: /sys shows that of whoever
 * mounted it.
 */
Result<Fd> MountSysfs() {
  const Fd context(static_cast<int>(::syscall(SYS_fsopen, "sysfs", kFsopenCloexec)));
  if (!context) return LastFailure("fsopen(sysfs)");
  if (::syscall(SYS_fsconfig, context.get(), kFsconfigCreate, nullptr, nullptr, 0) != 0) {
    return LastFailure("fsconfig(sysfs)");
  }
  Fd mounted(static_cast<int>(::syscall(SYS_fsmount, context.get(), kFsmountCloexec, kMountAttributes)));
  if (!mounted) return LastFailure("fsmount(sysfs)");
  return mounted;
}

/** Whether a mount is not for us to make: it is not permitted, or the kernel is older than 5.2. */
bool IsRefusal(int error) {
  return error == EPERM || error == EACCES || error == ENOSYS || error == EINVAL;
}

/** The first line of a small file; false when it cannot be read. */
bool ReadLine(const Fd& directory, const std::string& path, std::string* line) {
  const Fd file(::openat(directory.get(), path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return false;
  std::array<char, 128> buffer;
  const ssize_t bytes = ::read(file.get(), buffer.data(), buffer.size());
  if (bytes < 0) return false;
  line->assign(buffer.data(), static_cast<size_t>(bytes));
  line->erase(std::min(line->size(), line->find('\n')));
  return true;
}

std::string FormatAddress(const std::array<uint8_t, 6>& address) {
  char text[18];
  (void)std::snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", address[0], address[1], address[2],
                      address[3], address[4], address[5]);
  return text;
}

/** "246:3" as a device number; 0 when it is none. */
dev_t ParseNumber(const std::string& text) {
  char* end = nullptr;
  const unsigned long major = std::strtoul(text.c_str(), &end, 10);
  if (*end != ':') return 0;
  const unsigned long minor = std::strtoul(end + 1, &end, 10);
  return *end == '\0' ? makedev(static_cast<unsigned int>(major), static_cast<unsigned int>(minor)) : 0;
}

/** 0 when there is no such device below the link. */
dev_t ReadNumber(const Fd& link, unsigned int index) {
  const std::string tap = "tap" + std::to_string(index) + "/dev";
  std::string text;
  for (const char* const prefix : {"", "macvtap/", "ipvtap/"}) {
    if (ReadLine(link, prefix + tap, &text)) return ParseNumber(text);
  }
  return 0;
}

}  // namespace

Result<TapSysfs> TapSysfs::Open() {
  Result<Fd> mounted = MountSysfs();
  if (mounted) return TapSysfs(std::move(mounted.value), true);
  // Anything else, such as no descriptor left, would only be hidden by another namespace's /sys.
  if (!IsRefusal(mounted.failure.error)) return mounted.failure;
  Fd sysfs(::open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!sysfs) return LastFailure("open(/sys)");
  return TapSysfs(std::move(sysfs), false);
}

Result<dev_t> TapSysfs::NumberOf(const std::string& name, unsigned int index,
                                 const std::array<uint8_t, 6>& address, bool wait) const {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
    return Failure{EINVAL, "open(/sys/class/net)"};
  }
  const std::string path = "class/net/" + name;
  const std::string syscall = "open(/sys/" + path + ")";
  for (int attempt = 0;; ++attempt) {
    // O_PATH suffices to go on from, and pins the link: a rename does not lead to another one halfway.
    const Fd link(::openat(root_.get(), path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!link) return LastFailure(syscall);
    std::string line;
    if (!ReadLine(link, "ifindex", &line)) return LastFailure(syscall);
    if (line != std::to_string(index)) return Failure{ENODEV, syscall};
    // Another namespace's /sys may have a link of the same name and index, hardly of the same address.
    if (!own_ && (!ReadLine(link, "address", &line) || line != FormatAddress(address)))
      return Failure{ENODEV, syscall};
    const dev_t number = ReadNumber(link, index);
    if (number != 0) return number;
    if (!wait || attempt == kAttempts)
      return Failure{ENXIO, "open(/sys/" + path + "/tap" + std::to_string(index) + ")"};
    ::poll(nullptr, 0, kAttemptMs);
  }
}

}  // namespace linkwright
