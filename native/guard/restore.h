#pragma once

#include <cstddef>
#include <vector>

#include "netlink.h"
#include "program.h"

namespace linkwright::guard {

/** An operation that could not be carried out. */
struct Setback {
  size_t operation = 0;
  int error = 0;
};

/** Opens what restoring takes beforehand, and asks whether it may: 0 or an errno. */
int Prepare(Netlink& netlink, const Program& program);

/** Carries out a whole program; again a few times if something fails. */
std::vector<Setback> Restore(Netlink& netlink, Program& program);

}  // namespace linkwright::guard
