#include "forward/port.h"

#include <cerrno>

namespace linkwright {

Trouble JudgeError(int error) {
  switch (error) {
    case EAGAIN:
      return Trouble::kLater;
    case EIO:  // TAP: the link is down.
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ECONNREFUSED:
    case EADDRNOTAVAIL:
      return Trouble::kDown;
    case EBADFD:   // TAP: deleted.
    case ENOLINK:  // macvtap: deleted.
    case ENODEV:
    case ENXIO:
    case EBADF:
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
    case ESHUTDOWN:
      return Trouble::kGone;
    default:
      // ENOBUFS among them: what is behind the port had no room and has dropped it already.
      return Trouble::kFrame;
  }
}

}  // namespace linkwright
