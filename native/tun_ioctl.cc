#include "tun_ioctl.h"

#include <linux/filter.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "abi.h"

namespace linkwright {
namespace {

using Argument = TunIoctl::Argument;

constexpr std::array<TunIoctl, 19> kIoctls{{
    {"TUNSETOFFLOAD", TUNSETOFFLOAD, Argument::kValue},
    {"TUNSETVNETHDRSZ", TUNSETVNETHDRSZ, Argument::kIntPointer},
    {"TUNGETVNETHDRSZ", TUNGETVNETHDRSZ, Argument::kResult},
    {"TUNSETVNETLE", TUNSETVNETLE, Argument::kIntPointer},
    {"TUNGETVNETLE", TUNGETVNETLE, Argument::kResult},
    {"TUNSETVNETBE", TUNSETVNETBE, Argument::kIntPointer},
    {"TUNGETVNETBE", TUNGETVNETBE, Argument::kResult},
    {"TUNSETSNDBUF", TUNSETSNDBUF, Argument::kIntPointer},
    {"TUNGETSNDBUF", TUNGETSNDBUF, Argument::kResult},
    {"TUNSETPERSIST", TUNSETPERSIST, Argument::kValue},
    {"TUNSETOWNER", TUNSETOWNER, Argument::kValue},
    {"TUNSETGROUP", TUNSETGROUP, Argument::kValue},
    {"TUNSETLINK", TUNSETLINK, Argument::kValue},
    {"TUNSETCARRIER", TUNSETCARRIER, Argument::kIntPointer},
    {"TUNSETQUEUE", TUNSETQUEUE, Argument::kQueueFlags},
    {"TUNSETSTEERINGEBPF", TUNSETSTEERINGEBPF, Argument::kIntPointer},
    {"TUNSETFILTEREBPF", TUNSETFILTEREBPF, Argument::kIntPointer},
    {"TUNDETACHFILTER", TUNDETACHFILTER, Argument::kNone},
    {"TUNGETFEATURES", TUNGETFEATURES, Argument::kResult},
}};

std::string Syscall(const char* name) {
  return std::string("ioctl(") + name + ")";
}

}  // namespace

const TunIoctl* FindTunIoctl(const std::string& name) {
  const auto* const found =
      std::find_if(kIoctls.begin(), kIoctls.end(), [&](const TunIoctl& ioctl) { return name == ioctl.name; });
  return found == kIoctls.end() ? nullptr : found;
}

Result<int64_t> RunTunIoctl(int fd, const TunIoctlCall& call) {
  int pointed = static_cast<int>(call.value);
  ifreq queue{};
  int status = -1;
  switch (call.ioctl->argument) {
    case Argument::kNone:
      status = ::ioctl(fd, call.ioctl->request, 0UL);
      break;
    case Argument::kValue:
      status = ::ioctl(fd, call.ioctl->request, static_cast<unsigned long>(call.value));
      break;
    case Argument::kIntPointer:
    case Argument::kResult:
      status = ::ioctl(fd, call.ioctl->request, &pointed);
      break;
    case Argument::kQueueFlags:
      queue.ifr_flags = static_cast<short>(call.value);
      status = ::ioctl(fd, call.ioctl->request, &queue);
      break;
  }
  if (status < 0) return LastFailure(Syscall(call.ioctl->name));
  return static_cast<int64_t>(call.ioctl->argument == Argument::kResult ? pointed : 0);
}

Failure RunTunIoctls(int fd, const std::vector<TunIoctlCall>& calls) {
  for (const TunIoctlCall& call : calls) {
    Result<int64_t> result = RunTunIoctl(fd, call);
    if (!result) return result.failure;
  }
  return {};
}

Failure SetTunInterface(int fd, int flags, std::string* name) {
  ifreq request{};
  if (name->size() >= sizeof(request.ifr_name)) return {ENAMETOOLONG, "ioctl(TUNSETIFF)"};
  std::memcpy(request.ifr_name, name->data(), name->size());
  request.ifr_flags = static_cast<short>(flags);
  if (::ioctl(fd, TUNSETIFF, &request) < 0) return LastFailure("ioctl(TUNSETIFF)");
  name->assign(request.ifr_name, strnlen(request.ifr_name, sizeof(request.ifr_name)));
  return {};
}

Result<TunInterface> GetTunInterface(int fd) {
  ifreq request{};
  if (::ioctl(fd, TUNGETIFF, &request) < 0) return LastFailure("ioctl(TUNGETIFF)");
  TunInterface interface;
  interface.name.assign(request.ifr_name, strnlen(request.ifr_name, sizeof(request.ifr_name)));
  interface.flags = static_cast<unsigned short>(request.ifr_flags);
  return interface;
}

Failure AttachTunFilter(int fd, std::vector<uint8_t> program) {
  std::vector<sock_filter> instructions(program.size() / sizeof(sock_filter));
  std::memcpy(instructions.data(), program.data(), instructions.size() * sizeof(sock_filter));
  sock_fprog filter{};
  filter.len = static_cast<unsigned short>(instructions.size());
  filter.filter = instructions.data();
  if (::ioctl(fd, TUNATTACHFILTER, &filter) < 0) return LastFailure("ioctl(TUNATTACHFILTER)");
  return {};
}

}  // namespace linkwright
