#include "netns.h"

#include <sys/ioctl.h>

#include <sched.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>

#include "abi.h"
#include "thread.h"

namespace linkwright {
namespace {

constexpr char kSysctlRoot[] = "/proc/sys/net/";

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

}  // namespace linkwright
