#include "watch.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "outcome.h"
#include "restore.h"

namespace linkwright::guard {
namespace {

constexpr size_t kFrameHeader = 5;
/** What a parent gets that hung up and lives on, in milliseconds: its threads may be in the middle of a step.
 */
constexpr uint64_t kGrace = 1000;

}  // namespace

int Watch::Run() {
  if (!Open()) return 1;
  while (!done_) {
    // A negative descriptor is not looked at.
    std::array<pollfd, 3> sources{
        {{hung_up_ ? -1 : kCommands, POLLIN, 0}, {process_.get(), POLLIN, 0}, {timer_.get(), POLLIN, 0}}};
    if (::poll(sources.data(), sources.size(), -1) < 0) continue;
    // What it said last counts, also when it is dead by now.
    if (sources[0].revents != 0) {
      ReadCommands();
      continue;
    }
    if (sources[1].revents != 0) {
      // All its threads are gone, so nothing of a step is under way any more.
      if (armed_) RestoreNow("died");
      return 0;
    }
    if (sources[2].revents != 0) {
      SetTimer(0);
      too_late_ = true;
      if (armed_) RestoreNow(hung_up_ ? "abandoned" : "deadline");
      if (hung_up_) return 0;
    }
  }
  return 0;
}

bool Watch::Open() {
  process_.Reset(static_cast<int>(::syscall(SYS_pidfd_open, parent_, 0)));
  timer_.Reset(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  // One that died before it was opened has left its number to nobody or to another.
  return process_ && timer_ && ::getppid() == parent_;
}

void Watch::ReadCommands() {
  std::array<uint8_t, 16384> buffer;
  const ssize_t bytes = ::read(kCommands, buffer.data(), buffer.size());
  if (bytes < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (bytes <= 0) {
    hung_up_ = true;
    if (!armed_) done_ = true;
    SetTimer(kGrace);
    return;
  }
  received_.insert(received_.end(), buffer.begin(), buffer.begin() + bytes);
  TakeFrames();
}

void Watch::TakeFrames() {
  while (!done_ && received_.size() >= kFrameHeader) {
    uint32_t length = 0;
    std::memcpy(&length, received_.data() + 1, sizeof(length));
    const size_t whole = kFrameHeader + length;
    if (received_.size() < whole) return;
    Obey(static_cast<char>(received_[0]), received_.data() + kFrameHeader, length);
    received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(whole));
  }
}

void Watch::Obey(char command, const uint8_t* data, size_t length) {
  if (command == 'p') {
    Program program;
    int error = ParseProgram(data, length, program) ? 0 : EBADMSG;
    if (error == 0) error = Prepare(netlink_, program);
    if (error != 0) {
      Report("refused " + std::to_string(error) + " -\n");
      return;
    }
    program_ = std::move(program);
    armed_ = true;
    Report("armed - -\n");
  } else if (command == 'd' && length == sizeof(uint64_t)) {
    uint64_t milliseconds = 0;
    std::memcpy(&milliseconds, data, sizeof(milliseconds));
    SetTimer(milliseconds);
    Report("timed - -\n");
  } else if (command == 'r') {
    SetTimer(0);
    RestoreNow("asked");
  } else if (command == 'c' && too_late_) {
    Report("refused " + std::to_string(ECANCELED) + " -\n");
  } else if (command == 'c') {
    SaveOutcome(outcome_, Describe("confirmed", "asked", {}));
    Report("confirmed - -\n");
    done_ = true;
  } else if (command == 'q') {
    done_ = true;
  }
}

void Watch::SetTimer(uint64_t milliseconds) {
  itimerspec when{};
  when.it_value.tv_sec = static_cast<time_t>(milliseconds / 1000);
  when.it_value.tv_nsec = static_cast<long>(milliseconds % 1000) * 1'000'000;
  (void)::timerfd_settime(timer_.get(), 0, &when, nullptr);
}

void Watch::RestoreNow(const char* reason) {
  const std::string line = Describe("restored", reason, Restore(netlink_, program_));
  SaveOutcome(outcome_, line);
  Report(line);
}

void Watch::Report(const std::string& line) const {
  // Nobody may be there to read it.
  if (::write(kReports, line.data(), line.size()) < 0) return;
}

}  // namespace linkwright::guard
