#include "netns.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <sched.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>

#include "abi.h"
#include "thread.h"

namespace linkwright {
namespace {

constexpr char kSysctlRoot[] = "/proc/sys/net/";

/** Looks at a link that is renamed all the time. */
constexpr int kLooks = 8;

Result<std::string> NameOf(const Fd& socket, int index) {
  ifreq request{};
  request.ifr_ifindex = index;
  if (::ioctl(socket.get(), SIOCGIFNAME, &request) < 0) return LastFailure("ioctl(SIOCGIFNAME)");
  return std::string(request.ifr_name, ::strnlen(request.ifr_name, sizeof(request.ifr_name)));
}

/** Empty when the path is not below /proc/sys/net. */
std::string SysctlPath(const std::string& path) {
  std::string full = !path.empty() && path[0] == '/' ? path : kSysctlRoot + path;
  if (full.rfind(kSysctlRoot, 0) != 0 || full.find('\0') != std::string::npos) return "";
  if ((full + "/").find("/../") != std::string::npos) return "";
  return full;
}

}  // namespace

Result<Netns> Netns::FromNumber(int number) {
  Netns netns;
  if (number == -2) {
    netns.kind_ = Kind::kNew;
  } else if (number != -1) {
    netns.kind_ = Kind::kDescriptor;
    netns.fd_ = Fd::Duplicate(number);
    if (!netns.fd_) return LastFailure("fcntl(F_DUPFD_CLOEXEC)");
  }
  return netns;
}

Failure Netns::Enter(const std::function<void()>& work) const {
  if (kind_ == Kind::kProcess) {
    work();
    return {};
  }
  Failure failure;
  const bool ran = RunOnThread([&] {
    if (kind_ == Kind::kNew) {
      if (::unshare(CLONE_NEWNET) != 0) failure = LastFailure("unshare(CLONE_NEWNET)");
    } else if (::setns(fd_.get(), CLONE_NEWNET) != 0) {
      failure = LastFailure("setns");
    }
    if (!failure) work();
  });
  if (!ran) return {EAGAIN, "pthread_create"};
  return failure;
}

uint64_t NetnsCookie(int socket) {
  uint64_t cookie = 0;
  socklen_t length = sizeof(cookie);
  return ::getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) == 0 ? cookie : 0;
}

Result<Fd> OpenNetns(int socket) {
  if (socket < 0) {
    Fd fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!fd) return LastFailure("open(/proc/thread-self/ns/net)");
    return fd;
  }
  Fd fd(::ioctl(socket, SIOCGSKNS));
  if (!fd) return LastFailure("ioctl(SIOCGSKNS)");
  return fd;
}

Result<std::string> ReadSysctl(const std::string& path) {
  const std::string full = SysctlPath(path);
  if (full.empty()) return Failure{EPERM, "open(" + path + ")"};
  const Fd file(::open(full.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return LastFailure("open(" + full + ")");
  std::string text;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t bytes = ::read(file.get(), buffer.data(), buffer.size());
    if (bytes < 0) return LastFailure("read(" + full + ")");
    if (bytes == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(bytes));
  }
}

Result<Nothing> WriteSysctl(const std::string& path, const std::string& value) {
  const std::string full = SysctlPath(path);
  if (full.empty()) return Failure{EPERM, "open(" + path + ")"};
  const Fd file(::open(full.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return LastFailure("open(" + full + ")");
  if (::write(file.get(), value.data(), value.size()) < 0) return LastFailure("write(" + full + ")");
  return Nothing{};
}

Failure DisableIpv6(const std::string& name) {
  const Result<Nothing> written = WriteSysctl("ipv6/conf/" + name + "/disable_ipv6", "1");
  // The file is missing where the kernel has no IPv6, and then there is nothing to disable.
  return written.failure.error == ENOENT ? Failure{} : written.failure;
}

Failure DisableIpv6(const Fd& socket, int index) {
  Result<std::string> before = NameOf(socket, index);
  for (int look = 0; before && look < kLooks; ++look) {
    Failure failure = DisableIpv6(before.value);
    Result<std::string> after = NameOf(socket, index);
    if (after && after.value == before.value) return failure;
    before = std::move(after);
  }
  return before ? Failure{ENODEV, "ioctl(SIOCGIFNAME)"} : before.failure;
}

}  // namespace linkwright
