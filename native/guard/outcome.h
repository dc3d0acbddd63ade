#pragma once

#include <string>
#include <vector>

#include "restore.h"

namespace linkwright::guard {

/** `restored died 3:16,7:22`: what happened, why, and which operations failed with which errno; one line. */
std::string Describe(const char* what, const char* reason, const std::vector<Setback>& setbacks);

/** Replaces a file as a whole, so that it survives a crash; for a later process to read. */
void SaveOutcome(const std::string& path, const std::string& line);

}  // namespace linkwright::guard
