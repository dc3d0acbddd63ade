#include "forward/forward_thread.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "forward/forwarder.h"
#include "forward/port_health.h"

namespace linkwright {
namespace {

// Frames from one queue before the others, and what has changed, are looked at.
constexpr size_t kBudget = 256;
// A descriptor that is ready and has nothing is left alone after so many times.
constexpr unsigned kPatience = 4;
constexpr auto kShortestRest = std::chrono::milliseconds(1);
constexpr unsigned kLongestRest = 8;  // 2^8 ms

}  // namespace

ForwardThread::ForwardThread(Forwarder& forwarder)
    : forwarder_(forwarder),
      egress_(forwarder.settings_.egress, forwarder.run_, wakeup_, forwarder),
      route_(forwarder.rules_->NewRoute()) {}

bool ForwardThread::Start(const std::string& name) {
  // Without it the thread could not be told to end.
  if (wakeup_.Descriptor() < 0) return false;
  return thread_.Start(name.c_str(), [this] { Main(); });
}

void ForwardThread::Main() {
  Refresh();
  while (topology_ != nullptr) {
    const RunState::Mode mode = forwarder_.run_.Load();
    if (mode == RunState::Mode::kDrain) Drain();
    if (mode != RunState::Mode::kRun) break;
    if (BusyPolling()) {
      ServeAll();
    } else {
      ServeReady();
    }
    if (forwarder_.generation_.load(std::memory_order_acquire) != topology_->generation) Refresh();
  }
  const std::lock_guard lock(forwarder_.mutex_);
  topology_ = nullptr;
  ended = true;
  forwarder_.changed_.notify_all();
}

void ForwardThread::Refresh() {
  const std::lock_guard lock(forwarder_.mutex_);
  topology_ = retired ? nullptr : forwarder_.topology_;
  if (topology_ != nullptr) {
    route_->Refresh(*topology_);
    ListSources();
  }
  // What was removed is not looked at from here on.
  seen = forwarder_.generation_.load(std::memory_order_relaxed);
  forwarder_.changed_.notify_all();
}

void ForwardThread::ListSources() {
  sources_.clear();
  for (const PortPlace& place : topology_->places) {
    if (place.settings.paused) continue;
    for (size_t queue = 0; queue < place.readers.size(); ++queue)
      if (place.readers[queue] == this) sources_.push_back({&place, queue, true, 0, {}});
  }
  polled_.assign(sources_.size() + 1, {-1, POLLIN, 0});
  polled_.back().fd = wakeup_.Descriptor();
}

bool ForwardThread::BusyPolling() const {
  // One queue that has more needs no look at others either.
  if (sources_.size() == 1 && sources_[0].hot) return true;
  return forwarder_.settings_.busy_poll.count() != 0 && Clock::now() < busy_until_;
}

void ForwardThread::ServeAll() {
  const Clock::time_point now = Clock::now();
  for (Source& source : sources_)
    if (source.rest_until <= now) Serve(source, false);
}

void ForwardThread::ServeReady() {
  const std::optional<std::chrono::nanoseconds> limit = Arm();
  timespec timeout{};
  if (limit) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*limit);
    timeout = {static_cast<time_t>(seconds.count()), static_cast<long>((*limit - seconds).count())};
  }
  if (::ppoll(polled_.data(), polled_.size(), limit ? &timeout : nullptr, nullptr) < 0) return;
  if (polled_.back().revents != 0) {
    // First what it rang for: a port that was paused is not read once more.
    wakeup_.Clear();
    return;
  }
  for (size_t i = 0; i < sources_.size(); ++i)
    if (polled_[i].revents != 0 || sources_[i].hot) Serve(sources_[i], polled_[i].revents != 0);
}

std::optional<std::chrono::nanoseconds> ForwardThread::Arm() {
  std::optional<Clock::duration> limit;
  for (size_t i = 0; i < sources_.size(); ++i) {
    Source& source = sources_[i];
    const PortSlot& slot = *source.place->slot;
    polled_[i].fd = slot.gone.load(std::memory_order_relaxed) ? -1 : slot.port->queues()[source.queue];
    if (source.hot) limit = Clock::duration::zero();
    if (source.rest_until == Clock::time_point{}) continue;
    const Clock::duration rest = source.rest_until - Clock::now();
    if (rest > Clock::duration::zero()) {
      polled_[i].fd = -1;
      limit = std::min(limit.value_or(rest), rest);
    } else {
      source.rest_until = {};
    }
  }
  return limit;
}

void ForwardThread::Serve(Source& source, bool polled) {
  PortSlot& slot = *source.place->slot;
  size_t total = 0;
  size_t rejected = 0;
  int error = 0;
  do {
    if (slot.gone.load(std::memory_order_relaxed)) break;
    buffer_.Clear();
    error = slot.port->Receive(source.queue, &buffer_);
    rejected += buffer_.rejected();
    if (buffer_.count() != 0) {
      total += buffer_.count();
      Count(slot, source.queue);
      ShowMirror(slot, buffer_.frames(), buffer_.count(), false, forwarder_);
      route_->Forward(*source.place, source.queue, buffer_, egress_);
    }
    source.hot = buffer_.full();
  } while (error == 0 && source.hot && total < kBudget);
  if (rejected != 0) slot.counters.Add(source.queue, PortCounters::kMalformed, rejected);
  if (total != 0) {
    source.fruitless = 0;
    MarkUp(slot, forwarder_);
    if (forwarder_.settings_.busy_poll.count() != 0)
      busy_until_ = Clock::now() + forwarder_.settings_.busy_poll;
  } else {
    source.hot = false;
    if (rejected != 0) {
      source.fruitless = 0;
    } else if (polled || error != 0) {
      ++source.fruitless;
    }
  }
  if (error != 0) Judge(slot, error);
  if (source.fruitless >= kPatience || (error != 0 && source.fruitless != 0)) {
    const unsigned times = std::min(source.fruitless, kLongestRest);
    source.rest_until = Clock::now() + kShortestRest * (1U << times);
  }
}

void ForwardThread::Count(PortSlot& slot, size_t queue) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < buffer_.count(); ++i)
    bytes += buffer_.frames()[i].length;
  slot.counters.Add(queue, PortCounters::kRxFrames, buffer_.count());
  slot.counters.Add(queue, PortCounters::kRxBytes, bytes);
}

void ForwardThread::Judge(PortSlot& slot, int error) {
  switch (slot.port->Judge(error)) {
    case Trouble::kGone:
      MarkGone(slot, error, forwarder_);
      break;
    case Trouble::kDown:
      MarkDown(slot, error, forwarder_);
      break;
    case Trouble::kLater:
    case Trouble::kFrame:
      break;
  }
}

void ForwardThread::Drain() {
  for (Source& source : sources_) {
    do {
      Serve(source, false);
    } while (source.hot && Clock::now() < forwarder_.run_.DrainUntil());
  }
}

}  // namespace linkwright
