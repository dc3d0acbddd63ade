#include "forward/forwarder.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

namespace linkwright {

Forwarder::Forwarder(Settings settings, std::unique_ptr<Rules> rules, Listener listener)
    : settings_(std::move(settings)),
      rules_(std::move(rules)),
      listener_(std::move(listener)),
      topology_(std::make_shared<Topology>()) {}

Forwarder::~Forwarder() {
  Close(std::chrono::milliseconds(0));
}

Result<uint32_t> Forwarder::Add(std::shared_ptr<Port> port, uint64_t* counters,
                                std::shared_ptr<Mirror> mirror, const PortSettings& settings) {
  const std::lock_guard lock(mutex_);
  if (closed()) return Failure{EBADF, "forwarder"};
  const std::optional<uint16_t> number = FreeNumber();
  if (!number) return Failure{ENOSPC, "forwarder"};
  PortPlace place;
  for (size_t queue = 0; queue < port->queues().size(); ++queue) {
    ForwardThread* const reader = ChooseReader();
    if (reader == nullptr) return Failure{EAGAIN, "pthread_create"};
    ++reader->load;
    place.readers.push_back(reader);
  }
  const PortCounters memory(counters, port->queues().size());
  place.slot = std::make_shared<PortSlot>(next_id_++, *number, std::move(port), memory, std::move(mirror));
  place.settings = settings;
  const uint32_t id = place.slot->id;
  auto topology = std::make_shared<Topology>(*topology_);
  topology->places.push_back(std::move(place));
  Publish(std::move(topology));
  return id;
}

ForwardThread* Forwarder::ChooseReader() {
  ForwardThread* least = nullptr;
  for (const std::unique_ptr<ForwardThread>& thread : threads_)
    if (!thread->retired && (least == nullptr || thread->load < least->load)) least = thread.get();
  if (least != nullptr && (least->load == 0 || threads_.size() >= settings_.threads)) return least;
  auto thread = std::make_unique<ForwardThread>(*this);
  // One that reads another queue as well is better than none.
  if (!thread->Start(settings_.name + "-" + std::to_string(threads_started_))) return least;
  ++threads_started_;
  threads_.push_back(std::move(thread));
  return threads_.back().get();
}

std::optional<uint16_t> Forwarder::FreeNumber() const {
  for (uint16_t number = 0; number < kMostPorts; ++number) {
    const bool leaving = std::find(leaving_.begin(), leaving_.end(), number) != leaving_.end();
    if (!leaving && topology_->Find(number) == nullptr) return number;
  }
  return std::nullopt;
}

void Forwarder::Publish(std::shared_ptr<Topology> topology) {
  topology->generation = topology_->generation + 1;
  topology->Index();
  generation_.store(topology->generation, std::memory_order_release);
  topology_ = std::move(topology);
  for (const std::unique_ptr<ForwardThread>& thread : threads_)
    thread->Ring();
}

void Forwarder::Set(const std::vector<std::pair<uint32_t, PortSettings>>& ports) {
  const std::lock_guard lock(mutex_);
  auto topology = std::make_shared<Topology>(*topology_);
  for (const auto& [id, settings] : ports) {
    PortPlace* const place = topology->FindId(id);
    if (place != nullptr) place->settings = settings;
  }
  Publish(std::move(topology));
}

std::optional<uint16_t> Forwarder::NumberOf(uint32_t id) const {
  const std::lock_guard lock(mutex_);
  for (const PortPlace& place : topology_->places)
    if (place.slot->id == id) return place.slot->number;
  return std::nullopt;
}

uint32_t Forwarder::IdOf(uint16_t number) const {
  const std::lock_guard lock(mutex_);
  const PortPlace* const place = topology_->Find(number);
  return place == nullptr ? 0 : place->slot->id;
}

void Forwarder::Remove(uint32_t id) {
  std::unique_lock lock(mutex_);
  auto topology = std::make_shared<Topology>(*topology_);
  PortPlace* const found = topology->FindId(id);
  if (found == nullptr) return;
  const PortPlace leaving = *found;
  topology->places.erase(topology->places.begin() + (found - topology->places.data()));
  leaving.slot->leaving.store(true);
  leaving_.push_back(leaving.slot->number);
  for (ForwardThread* const reader : leaving.readers)
    if (--reader->load == 0) reader->retired = true;
  Publish(std::move(topology));
  const uint64_t wanted = topology_->generation;
  changed_.wait(lock, [this, wanted] {
    return std::all_of(threads_.begin(), threads_.end(),
                       [wanted](const std::unique_ptr<ForwardThread>& thread) {
                         return thread->ended || (!thread->retired && thread->seen >= wanted);
                       });
  });
  rules_->Forget(leaving.slot->number);
  leaving_.erase(std::find(leaving_.begin(), leaving_.end(), leaving.slot->number));
  const auto ended = TakeEnded();
  // They are joined, and the port ends, without the lock.
  lock.unlock();
}

std::shared_ptr<const Topology> Forwarder::Close(std::chrono::milliseconds drain) {
  std::unique_lock lock(mutex_);
  if (drain.count() == 0) {
    run_.mode.store(RunState::Mode::kStop, std::memory_order_release);
  } else if (!closed()) {
    run_.drain_until.store((RunState::Clock::now() + drain).time_since_epoch().count(),
                           std::memory_order_relaxed);
    run_.mode.store(RunState::Mode::kDrain, std::memory_order_release);
  }
  for (const std::unique_ptr<ForwardThread>& thread : threads_)
    thread->Ring();
  changed_.wait(lock, [this] {
    return std::all_of(threads_.begin(), threads_.end(),
                       [](const std::unique_ptr<ForwardThread>& thread) { return thread->ended; });
  });
  const auto ended = TakeEnded();
  std::shared_ptr<const Topology> remains = std::exchange(topology_, std::make_shared<Topology>());
  // They are joined without the lock.
  lock.unlock();
  return remains;
}

std::vector<std::unique_ptr<ForwardThread>> Forwarder::TakeEnded() {
  std::vector<std::unique_ptr<ForwardThread>> ended;
  for (std::unique_ptr<ForwardThread>& thread : threads_)
    if (thread->ended) ended.push_back(std::move(thread));
  threads_.erase(std::remove(threads_.begin(), threads_.end(), nullptr), threads_.end());
  return ended;
}

size_t Forwarder::threads() const {
  const std::lock_guard lock(mutex_);
  return threads_.size();
}

void Forwarder::OnPort(PortSlot& slot, PortEvent event, int error) {
  if (event == PortEvent::kGone) rules_->Forget(slot.number);
  listener_(slot.id, event, error);
}

}  // namespace linkwright
