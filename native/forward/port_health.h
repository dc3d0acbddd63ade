#pragma once

#include "forward/port_slot.h"

namespace linkwright {

/** Who is told what happens to ports. Called by any thread. */
class PortWatcher {
 public:
  virtual void OnPort(PortSlot& slot, PortEvent event, int error) = 0;

 protected:
  ~PortWatcher() = default;
};

// Each tells the watcher only what is news.

void MarkGone(PortSlot& slot, int error, PortWatcher& watcher);
void MarkDown(PortSlot& slot, int error, PortWatcher& watcher);
/** Frames went through it. */
void MarkUp(PortSlot& slot, PortWatcher& watcher);

}  // namespace linkwright
