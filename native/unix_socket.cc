// Unix sockets that carry descriptors, for JavaScript. All of them are non-blocking, so all of this is
// synchronous.

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "arguments.h"
#include "bindings.h"
#include "fd.h"
#include "unix_address.h"

namespace linkwright {
namespace {

constexpr int kFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;
// SCM_MAX_FD of the kernel.
constexpr size_t kMaxDescriptors = 253;
constexpr int kBacklog = 128;

/** What of a control message holds descriptors. */
struct alignas(cmsghdr) Control {
  std::array<uint8_t, CMSG_SPACE(kMaxDescriptors * sizeof(int))> bytes{};
};

Napi::Value Throw(Napi::Env env, const Failure& failure) {
  SystemError(env, failure).ThrowAsJavaScriptException();
  return {};
}

/** A number, or a negative errno for an operation that only has to be repeated later. */
Napi::Value NumberOrAgain(Napi::Env env, ssize_t result, const char* syscall) {
  if (result >= 0) return Napi::Number::New(env, static_cast<double>(result));
  if (errno == EAGAIN || errno == EINTR) return Napi::Number::New(env, -EAGAIN);
  return Throw(env, LastFailure(syscall));
}

/** A stream socket that has been bound or connected to a path. */
Napi::Value OpenStream(const Napi::CallbackInfo& info, bool listening) {
  Arguments arguments(info.Env());
  const std::string path = arguments.String(info[0], "path");
  const bool abstract = !path.empty() && path[0] == '\0';
  if (!abstract && path.find('\0') != std::string::npos) arguments.Reject("\"path\" must not contain NUL");
  if (arguments.Failed()) return {};
  sockaddr_un address;
  const socklen_t length = FillUnixAddress(path, &address);
  const char* const syscall = listening ? "bind" : "connect";
  if (length == 0) return Throw(info.Env(), {path.empty() ? EINVAL : ENAMETOOLONG, syscall});
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | kFlags, 0));
  if (!fd) return Throw(info.Env(), LastFailure("socket(AF_UNIX)"));
  const auto operation = listening ? ::bind : ::connect;
  if (operation(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return Throw(info.Env(), LastFailure(syscall));
  }
  if (listening && ::listen(fd.get(), kBacklog) != 0) return Throw(info.Env(), LastFailure("listen"));
  return Napi::Number::New(info.Env(), fd.Release());
}

Napi::Value UnixConnect(const Napi::CallbackInfo& info) {
  return OpenStream(info, false);
}

Napi::Value UnixListen(const Napi::CallbackInfo& info) {
  return OpenStream(info, true);
}

Napi::Value UnixAccept(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int fd = arguments.Int(info[0], "fd");
  if (arguments.Failed()) return {};
  return NumberOrAgain(info.Env(), ::accept4(fd, nullptr, nullptr, kFlags), "accept4");
}

Napi::Value UnixPair(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int type = arguments.Int(info[0], "type");
  if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET) {
    arguments.Reject("\"type\" must be 1, 2 or 5");
  }
  if (arguments.Failed()) return {};
  std::array<int, 2> fds;
  if (::socketpair(AF_UNIX, type | kFlags, 0, fds.data()) != 0)
    return Throw(info.Env(), LastFailure("socketpair"));
  Napi::Array pair = Napi::Array::New(info.Env(), fds.size());
  pair.Set(0U, fds[0]);
  pair.Set(1U, fds[1]);
  return pair;
}

Napi::Value UnixSend(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const int fd = arguments.Int(info[0], "fd");
  // Reading an array may run getters, which may free the other's memory.
  const std::vector<int> fds = arguments.Integers(info[2], "fds");
  const Bytes data = arguments.Uint8Array(info[1], "data");
  if (data.length == 0 && !fds.empty())
    arguments.Reject("\"fds\" go along with at least one byte of \"data\"");
  if (fds.size() > kMaxDescriptors) arguments.Reject("\"fds\" must be at most 253 descriptors");
  if (arguments.Failed()) return {};
  iovec buffer{data.data, data.length};
  Control control;
  msghdr message{};
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    const size_t bytes = fds.size() * sizeof(int);
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(bytes);
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(bytes);
    std::memcpy(CMSG_DATA(header), fds.data(), bytes);
  }
  return NumberOrAgain(info.Env(), ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT), "sendmsg");
}

std::vector<int> ReceivedDescriptors(msghdr* message) {
  std::vector<int> fds;
  for (cmsghdr* header = CMSG_FIRSTHDR(message); header != nullptr; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    const size_t before = fds.size();
    fds.resize(before + count);
    std::memcpy(fds.data() + before, CMSG_DATA(header), count * sizeof(int));
  }
  return fds;
}

Napi::Value UnixReceive(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Arguments arguments(env);
  const int fd = arguments.Int(info[0], "fd");
  const Bytes data = arguments.Uint8Array(info[1], "data");
  if (arguments.Failed()) return {};
  iovec buffer{data.data, data.length};
  Control control;
  msghdr message{};
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  const ssize_t bytes = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (bytes < 0) {
    if (errno == EAGAIN || errno == EINTR) return env.Null();
    return Throw(env, LastFailure("recvmsg"));
  }
  const std::vector<int> received = ReceivedDescriptors(&message);
  Napi::Array fds = Napi::Array::New(env, received.size());
  for (size_t i = 0; i < received.size(); ++i)
    fds.Set(static_cast<uint32_t>(i), received[i]);
  Napi::Object result = Napi::Object::New(env);
  result.Set("bytes", static_cast<double>(bytes));
  result.Set("fds", fds);
  result.Set("truncated", (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0);
  return result;
}

}  // namespace

void RegisterUnixSocket(const std::shared_ptr<Environment>& /*environment*/, Napi::Object exports) {
  Export<UnixConnect>(exports, "unixConnect");
  Export<UnixListen>(exports, "unixListen");
  Export<UnixAccept>(exports, "unixAccept");
  Export<UnixPair>(exports, "unixPair");
  Export<UnixSend>(exports, "unixSend");
  Export<UnixReceive>(exports, "unixReceive");
}

}  // namespace linkwright
