#include "forward/egress.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "offload/checksum.h"
#include "offload/segmenter.h"

namespace linkwright {
namespace {

// A descriptor that says it has room, and has none, is asked so often.
constexpr auto kPause = std::chrono::microseconds(50);

timespec ToTimespec(std::chrono::nanoseconds time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((time - seconds).count())};
}

/** Whether a port takes the frame as it is. */
bool Fits(const Frame& frame, const PortSlot& to) {
  if (NeedsWork(frame.header, to.offloads)) return false;
  if (frame.header.gso_type == VnetHeader::kGsoNone) return frame.length <= to.largest;
  // No segment is longer than the longest frame: only another limit is worth looking for the headers.
  if (to.largest == FrameBuffer::kLargestFrame) return true;
  const Segmenter segmenter(frame.data, frame.length, frame.header, to.port->layer());
  return segmenter.valid() && segmenter.largest() <= to.largest;
}

}  // namespace

void Egress::Send(PortSlot& to, size_t queue, const Frame* frames, size_t count) {
  if (settings_.merge && count > 1 && (to.offloads.tso4 || to.offloads.tso6 || to.offloads.uso)) {
    Merge(to, queue, frames, count);
    return;
  }
  const bool as_they_are =
      std::all_of(frames, frames + count, [&to](const Frame& frame) { return Fits(frame, to); });
  if (as_they_are) {
    Deliver(to, queue, frames, count);
  } else {
    Translate(to, queue, frames, count);
  }
}

Coalescer& Egress::CoalescerFor(const PortSlot& to) {
  const auto [checksum, tso4, tso6, uso] = to.offloads;
  std::unique_ptr<Coalescer>& coalescer = coalescers_[checksum | tso4 << 1 | tso6 << 2 | uso << 3];
  if (coalescer == nullptr)
    coalescer = std::make_unique<Coalescer>(to.port->layer(), to.offloads, FrameBuffer::kFrames);
  return *coalescer;
}

void Egress::Merge(PortSlot& to, size_t queue, const Frame* frames, size_t count) {
  Coalescer& coalescer = CoalescerFor(to);
  coalescer.Clear();
  for (size_t i = 0; i < count; ++i)
    coalescer.Add(frames[i].data, frames[i].length, frames[i].header);
  coalescer.Finish();
  for (size_t i = 0; i < coalescer.count(); ++i) {
    if (coalescer.frames(i) == 1) {
      iovec whole{};
      coalescer.Gather(i, &whole);
      Adapt(
          to, queue,
          {static_cast<uint8_t*>(whole.iov_base), static_cast<uint32_t>(whole.iov_len), coalescer.header(i)});
    } else if (size_t{coalescer.header(i).header_length} + coalescer.header(i).gso_size > to.largest) {
      to.counters.Add(PortCounters::kOversize, coalescer.frames(i));
    } else {
      const size_t length = coalescer.Copy(i, Room(to, queue));
      Made(length, coalescer.header(i));
    }
  }
  Flush(to, queue);
}

void Egress::Translate(PortSlot& to, size_t queue, const Frame* frames, size_t count) {
  for (size_t i = 0; i < count; ++i)
    Adapt(to, queue, frames[i]);
  Flush(to, queue);
}

void Egress::Adapt(PortSlot& to, size_t queue, const Frame& frame) {
  if (Fits(frame, to)) {
    if (ready_count_ == ready_.size()) Flush(to, queue);
    ready_[ready_count_++] = frame;
  } else if (frame.header.gso_type != VnetHeader::kGsoNone) {
    Split(to, queue, frame);
  } else if (frame.length > to.largest) {
    to.counters.Add(PortCounters::kOversize, 1);
  } else {
    Complete(to, queue, frame);
  }
}

void Egress::Split(PortSlot& to, size_t queue, const Frame& frame) {
  const Segmenter segmenter(frame.data, frame.length, frame.header, to.port->layer());
  if (!segmenter.valid() || segmenter.largest() > to.largest) {
    to.counters.Add(segmenter.valid() ? PortCounters::kOversize : PortCounters::kError, 1);
    return;
  }
  for (size_t i = 0; i < segmenter.segments(); ++i) {
    const size_t length = segmenter.Write(i, Room(to, queue));
    Made(length, {});
  }
  to.counters.Add(PortCounters::kSplit, 1);
}

void Egress::Complete(PortSlot& to, size_t queue, const Frame& frame) {
  // A copy: others may get the frame as it is.
  uint8_t* const room = Room(to, queue);
  std::memcpy(room, frame.data, frame.length);
  VnetHeader header = frame.header;
  if (!CompleteChecksum(room, frame.length, &header)) {
    to.counters.Add(PortCounters::kError, 1);
    return;
  }
  Made(frame.length, header);
  to.counters.Add(PortCounters::kCompleted, 1);
}

uint8_t* Egress::Room(PortSlot& to, size_t queue) {
  if (made_ == nullptr) made_ = std::make_unique<FrameBuffer>();
  if (made_->full() || ready_count_ == ready_.size()) Flush(to, queue);
  return made_->Reserve();
}

void Egress::Made(size_t length, const VnetHeader& header) {
  made_->Commit(0, length, header);
  ready_[ready_count_++] = made_->frames()[made_->count() - 1];
}

void Egress::Flush(PortSlot& to, size_t queue) {
  Deliver(to, queue, ready_.data(), ready_count_);
  ready_count_ = 0;
  if (made_ != nullptr) made_->Clear();
}

void Egress::Deliver(PortSlot& to, size_t queue, const Frame* frames, size_t count) {
  const Frame* const end = frames + count;
  Clock::time_point until;
  bool waited = false;
  // Whether the port has taken all, and still holds on to a part.
  bool held = false;
  const auto drop_rest = [&](PortCounters::Transmitted reason) {
    to.counters.Add(reason, static_cast<uint64_t>(end - frames));
    frames = end;
  };
  while (frames != end || held) {
    if (to.gone.load(std::memory_order_relaxed)) return drop_rest(PortCounters::kGone);
    const Sent sent = to.port->Send(queue, frames, static_cast<size_t>(end - frames));
    if (sent.frames != 0) Count(to, frames, sent.frames);
    frames += sent.frames;
    held = sent.error == EAGAIN;
    if (frames == end && !held) break;
    switch (sent.error == 0 ? Trouble::kLater : to.port->Judge(sent.error)) {
      case Trouble::kLater:
        if (!waited) until = Clock::now() + settings_.patience;
        if (!Wait(to, queue, until, waited && sent.frames == 0)) return drop_rest(PortCounters::kRefused);
        waited = true;
        break;
      case Trouble::kFrame:
        to.counters.Add(sent.error == ENOBUFS ? PortCounters::kRefused : PortCounters::kError, 1);
        ++frames;
        break;
      case Trouble::kDown:
        drop_rest(PortCounters::kDown);
        return MarkDown(to, sent.error, watcher_);
      case Trouble::kGone:
        drop_rest(PortCounters::kGone);
        return MarkGone(to, sent.error, watcher_);
    }
  }
  if (!waited && to.stuck.load(std::memory_order_relaxed)) to.stuck.store(false, std::memory_order_relaxed);
}

void Egress::Count(PortSlot& to, const Frame* frames, size_t count) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; ++i)
    bytes += frames[i].length;
  to.counters.Add(PortCounters::kTxFrames, count);
  to.counters.Add(PortCounters::kTxBytes, bytes);
  ShowMirror(to, frames, count, true, watcher_);
  MarkUp(to, watcher_);
}

bool Egress::Wait(PortSlot& to, size_t queue, Clock::time_point until, bool in_vain) {
  const std::vector<int>& queues = to.port->queues();
  std::array<pollfd, 2> fds{{{wakeup_.Descriptor(), POLLIN, 0}, {queues[queue % queues.size()], POLLOUT, 0}}};
  while (true) {
    const RunState::Mode mode = run_.Load();
    if (mode == RunState::Mode::kStop || to.leaving.load(std::memory_order_relaxed)) return false;
    if (mode == RunState::Mode::kDrain) until = run_.DrainUntil();
    const auto left = until - Clock::now();
    if (left <= Clock::duration::zero() || to.stuck.load(std::memory_order_relaxed)) {
      to.stuck.store(true, std::memory_order_relaxed);
      return false;
    }
    const timespec timeout = ToTimespec(in_vain ? std::min<Clock::duration>(left, kPause) : left);
    const int events = ::ppoll(fds.data(), in_vain ? 1 : 2, &timeout, nullptr);
    // What it rang for is in the state that is looked at above, and by the thread when it comes back.
    if (fds[0].revents != 0) wakeup_.Clear();
    if (in_vain ? events == 0 : fds[1].revents != 0) return true;
  }
}

}  // namespace linkwright
