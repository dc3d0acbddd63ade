#pragma once

#include <uv.h>

#include <cstddef>
#include <functional>
#include <memory>

namespace linkwright {

/** The libuv handles of an environment that are not closed yet: it must not end before they are. */
struct OpenHandles {
  size_t count = 0;
  std::function<void()> when_none;
};

/** A uv handle whose memory libuv keeps until it is closed, however soon its owner goes. */
template <typename Handle>
struct UvBlock {
  Handle handle{};
  void* owner = nullptr;
  std::shared_ptr<OpenHandles> open;
};

template <typename Handle>
struct UvClose {
  void operator()(UvBlock<Handle>* block) const {
    block->owner = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&block->handle), [](uv_handle_t* handle) {
      const std::unique_ptr<UvBlock<Handle>> closed(static_cast<UvBlock<Handle>*>(handle->data));
      if (--closed->open->count == 0 && closed->open->when_none) closed->open->when_none();
    });
  }
};

template <typename Handle>
using UvHandle = std::unique_ptr<UvBlock<Handle>, UvClose<Handle>>;

/** @param init starts the handle; a libuv error leaves nothing behind */
template <typename Handle, typename Init>
int OpenUvHandle(const std::shared_ptr<OpenHandles>& open, void* owner, Init init, UvHandle<Handle>* out) {
  auto block = std::make_unique<UvBlock<Handle>>();
  block->owner = owner;
  block->open = open;
  const int error = init(&block->handle);
  if (error != 0) return error;
  block->handle.data = block.get();
  ++open->count;
  out->reset(block.release());
  return 0;
}

}  // namespace linkwright
