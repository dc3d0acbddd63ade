#include "worker.h"

#include <sys/eventfd.h>
#include <sys/mman.h>

namespace linkwright {

int Wakeup::Descriptor() {
  if (!event_) event_.Reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return event_.get();
}

void Wakeup::Ring() const {
  const uint64_t one = 1;
  // It can only fail when it is full, and then it rings already.
  if (event_) (void)!::write(event_.get(), &one, sizeof(one));
}

void Wakeup::Clear() const {
  uint64_t count = 0;
  if (event_) (void)!::read(event_.get(), &count, sizeof(count));
}

uint8_t* Slab::Memory() {
  if (memory_ == nullptr) {
    void* memory = ::mmap(nullptr, kSlots * kSlotBytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED) memory_ = static_cast<uint8_t*>(memory);
  }
  return memory_;
}

Slab::~Slab() {
  if (memory_ != nullptr) ::munmap(memory_, kSlots * kSlotBytes);
}

}  // namespace linkwright
