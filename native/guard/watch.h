#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "../fd.h"
#include "netlink.h"
#include "program.h"

namespace linkwright::guard {

/** Descriptors as the parent laid them out. */
constexpr int kCommands = 0;
constexpr int kReports = 1;
constexpr int kNamespace = 3;

/**
 * Waits for the parent's word, its death and the deadline, and restores where one of them asks for it.
 *
 * What it is told: frames of a letter, a u32 length and as many bytes. `p` a program, in place of the one
 * before; `d` the deadline, a u64 in milliseconds from now or 0 for none; `r` restore; `c` confirmed, which
 * is refused after the deadline; `q` not needed: both end it.
 */
class Watch {
 public:
  Watch(pid_t parent, std::string outcome) : parent_(parent), outcome_(std::move(outcome)) {}

  /** Returns when there is nothing left to guard: the exit status. */
  int Run();

 private:
  bool Open();
  void ReadCommands();
  void TakeFrames();
  void Obey(char command, const uint8_t* data, size_t length);
  void SetTimer(uint64_t milliseconds);
  void RestoreNow(const char* reason);
  void Report(const std::string& line) const;

  const pid_t parent_;
  const std::string outcome_;
  Fd process_;
  Fd timer_;
  Netlink netlink_;
  Program program_;
  std::vector<uint8_t> received_;
  bool armed_ = false;
  bool hung_up_ = false;
  bool too_late_ = false;
  bool done_ = false;
};

}  // namespace linkwright::guard
