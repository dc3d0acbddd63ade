#include "outcome.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "../fd.h"

namespace linkwright::guard {

std::string Describe(const char* what, const char* reason, const std::vector<Setback>& setbacks) {
  std::string line = std::string(what) + " " + reason + " ";
  if (setbacks.empty()) line += "-";
  for (const Setback& setback : setbacks) {
    if (line.back() != ' ') line += ",";
    line += std::to_string(setback.operation) + ":" + std::to_string(setback.error);
  }
  return line + "\n";
}

void SaveOutcome(const std::string& path, const std::string& line) {
  if (path.empty()) return;
  const std::string draft = path + ".new";
  // Whatever has this name, a link of somebody else's perhaps, is not written to.
  (void)::unlink(draft.c_str());
  const Fd file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return;
  if (::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
      ::fsync(file.get()) != 0 || ::rename(draft.c_str(), path.c_str()) != 0) {
    (void)::unlink(draft.c_str());
    return;
  }
  const Fd folder(::open(path.substr(0, path.rfind('/') + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) (void)::fsync(folder.get());
}

}  // namespace linkwright::guard
