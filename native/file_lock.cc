// A lock that ends with who holds it, for JavaScript.

#include <fcntl.h>
#include <sys/file.h>

#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "bindings.h"
#include "descriptors.h"

namespace linkwright {
namespace {

Napi::Value LockFile(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env());
  const std::string path = arguments.Name(info[0], "path");
  if (arguments.Failed()) return {};
  const auto environment = Environment::Of(info.Env());
  return environment->Async(
      [path]() -> Result<Fd> {
        Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!fd) return LastFailure("open(" + path + ")");
        if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return LastFailure("flock(" + path + ")");
        return fd;
      },
      [environment = environment.get()](Fd fd) {
        std::vector<Fd> fds;
        fds.push_back(std::move(fd));
        return Descriptors::New(*environment, std::move(fds));
      });
}

}  // namespace

void RegisterFileLock(const std::shared_ptr<Environment>& /*environment*/, Napi::Object exports) {
  Export<LockFile>(exports, "lockFile");
}

}  // namespace linkwright
