#include "error.h"

#include <cctype>
#include <cstring>

namespace linkwright {

std::string ErrnoName(int error) {
  // strerrorname_np() needs glibc 2.32 and musl has none.
  // clang-format off
  switch (error) {
#define NAME(code) case code: return #code;
    NAME(EPERM) NAME(ENOENT) NAME(ESRCH) NAME(EINTR) NAME(EIO) NAME(ENXIO) NAME(E2BIG) NAME(ENOEXEC)
    NAME(EBADF) NAME(ECHILD) NAME(EAGAIN) NAME(ENOMEM) NAME(EACCES) NAME(EFAULT) NAME(ENOTBLK) NAME(EBUSY)
    NAME(EEXIST) NAME(EXDEV) NAME(ENODEV) NAME(ENOTDIR) NAME(EISDIR) NAME(EINVAL) NAME(ENFILE) NAME(EMFILE)
    NAME(ENOTTY) NAME(ETXTBSY) NAME(EFBIG) NAME(ENOSPC) NAME(ESPIPE) NAME(EROFS) NAME(EMLINK) NAME(EPIPE)
    NAME(EDOM) NAME(ERANGE) NAME(EDEADLK) NAME(ENAMETOOLONG) NAME(ENOLCK) NAME(ENOSYS) NAME(ENOTEMPTY)
    NAME(ELOOP) NAME(ENOMSG) NAME(EIDRM) NAME(ENOSTR) NAME(ENODATA) NAME(ETIME) NAME(ENOSR) NAME(ENONET)
    NAME(EREMOTE) NAME(ENOLINK) NAME(ECOMM) NAME(EPROTO) NAME(EMULTIHOP) NAME(EBADMSG) NAME(EOVERFLOW)
    NAME(ENOTUNIQ) NAME(EBADFD) NAME(EREMCHG) NAME(EILSEQ) NAME(ERESTART) NAME(EUSERS) NAME(ENOTSOCK)
    NAME(EDESTADDRREQ) NAME(EMSGSIZE) NAME(EPROTOTYPE) NAME(ENOPROTOOPT) NAME(EPROTONOSUPPORT)
    NAME(ESOCKTNOSUPPORT) NAME(EOPNOTSUPP) NAME(EPFNOSUPPORT) NAME(EAFNOSUPPORT) NAME(EADDRINUSE)
    NAME(EADDRNOTAVAIL) NAME(ENETDOWN) NAME(ENETUNREACH) NAME(ENETRESET) NAME(ECONNABORTED)
    NAME(ECONNRESET) NAME(ENOBUFS) NAME(EISCONN) NAME(ENOTCONN) NAME(ESHUTDOWN) NAME(ETOOMANYREFS)
    NAME(ETIMEDOUT) NAME(ECONNREFUSED) NAME(EHOSTDOWN) NAME(EHOSTUNREACH) NAME(EALREADY) NAME(EINPROGRESS)
    NAME(ESTALE) NAME(EUCLEAN) NAME(EDQUOT) NAME(ENOMEDIUM) NAME(EMEDIUMTYPE) NAME(ECANCELED) NAME(ENOKEY)
    NAME(EKEYREJECTED) NAME(EOWNERDEAD) NAME(ENOTRECOVERABLE)
#undef NAME
    default: return "E" + std::to_string(error);
  }
  // clang-format on
}

namespace {

// The two shapes of strerror_r(): GNU returns the text, POSIX (musl) fills the buffer.
[[maybe_unused]] const char* TextOf(const char* text, const char* /*buffer*/) {
  return text;
}
[[maybe_unused]] const char* TextOf(int status, const char* buffer) {
  return status == 0 ? buffer : "";
}

std::string ErrnoText(int error) {
  char buffer[128] = "";
  std::string text = TextOf(strerror_r(error, buffer, sizeof(buffer)), buffer);
  // As libuv and Node write it: lower case at the start, unless it is an abbreviation.
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

}  // namespace

Napi::Error SystemError(Napi::Env env, const Failure& failure) {
  const std::string code = ErrnoName(failure.error);
  Napi::Error error = Napi::Error::New(env, code + ": " + ErrnoText(failure.error) + ", " + failure.syscall);
  error.Set("code", Napi::String::New(env, code));
  error.Set("errno", Napi::Number::New(env, -failure.error));
  error.Set("syscall", Napi::String::New(env, failure.syscall));
  return error;
}

Napi::TypeError ArgumentError(Napi::Env env, const std::string& message, const char* code) {
  Napi::TypeError error = Napi::TypeError::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

}  // namespace linkwright
