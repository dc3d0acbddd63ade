#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace linkwright::guard {

/** Signals a process unless it has ended, or started at another time (field 22 of /proc/PID/stat): 0 or an
 * errno. */
int SignalProcess(pid_t pid, uint64_t start_time, int number);

/**
 * Ends what runs an executable of this name with this argument in the guard's network namespace: SIGTERM, and
 * SIGKILL after so many milliseconds. 0 when none is left, else an errno.
 */
int StopProgram(const std::string& name, const std::string& argument, int milliseconds);

}  // namespace linkwright::guard
