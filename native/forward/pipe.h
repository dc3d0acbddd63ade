#pragma once

#include "forward/rules.h"

namespace linkwright {

/** Frames of each of two ports go to the other. */
class PipeRules : public Rules {
 public:
  std::unique_ptr<Route> NewRoute() override;
};

}  // namespace linkwright
