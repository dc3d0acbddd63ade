// Forwarders under load from all sides, without Node: for ThreadSanitizer, which sees every thread here.
//
// Ports are queues of socket pairs with virtio-net headers. Behind each, one thread writes frames of random
// stations and reads what comes; meanwhile ports are added, changed and removed, addresses fixed and
// forgotten, and counters read.
//
// Usage: forwarder SECONDS

#include "forward/forwarder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "forward/pipe.h"
#include "forward/switch.h"
#include "forward/tap_port.h"

using namespace linkwright;  // NOLINT(google-build-using-namespace)

namespace {

constexpr size_t kHeader = 12;
constexpr size_t kQueues = 2;
constexpr size_t kPorts = 5;

using Random = std::minstd_rand;

/** The other end of a queue: a host that sends and receives. */
class Peer {
 public:
  Peer(int fd, unsigned seed, std::atomic<uint64_t>* received)
      : fd_(fd), random_(seed), received_(received), thread_([this] { Main(); }) {}
  ~Peer() {
    over_ = true;
    thread_.join();
    ::close(fd_);
  }

 private:
  void Main() {
    std::vector<uint8_t> memory(70'000);
    while (!over_) {
      pollfd polled{fd_, POLLIN, 0};
      ::poll(&polled, 1, 1);
      while (::read(fd_, memory.data(), memory.size()) > 0)
        received_->fetch_add(1, std::memory_order_relaxed);
      for (int burst = 0; burst < 20; ++burst) {
        const size_t length = Make(memory.data());
        if (::write(fd_, memory.data(), length) < 0) break;
      }
    }
  }

  /** A frame between random stations: small, one that wants its checksum, a super-frame, or none at all. */
  size_t Make(uint8_t* out) {
    const unsigned kind = random_() % 16;
    const size_t payload = kind == 0 ? 4000 : kind < 4 ? 1000 : random_() % 100;
    const size_t length = 14 + 20 + 20 + payload;
    std::memset(out, 0, kHeader + length);
    uint8_t* const frame = out + kHeader;
    frame[0] = frame[6] = 2;
    frame[5] = static_cast<uint8_t>(random_() % 64);
    frame[11] = static_cast<uint8_t>(random_() % 64);
    if (random_() % 20 == 0) std::memset(frame, 0xff, 6);
    frame[12] = 8;
    frame[14] = 0x45;
    frame[16] = static_cast<uint8_t>((length - 14) >> 8);
    frame[17] = static_cast<uint8_t>(length - 14);
    frame[23] = 6;
    frame[46] = 0x50;
    frame[47] = 0x10;
    VnetHeader header;
    if (kind < 4) {
      header.flags = VnetHeader::kNeedsChecksum;
      header.checksum_start = 34;
      header.checksum_offset = 16;
    }
    if (kind == 0) {
      header.gso_type = VnetHeader::kGsoTcp4;
      header.gso_size = 500;
      header.header_length = 54;
    }
    std::memcpy(out, &header, kVnetHeaderBytes);
    return kind == 15 ? kHeader + random_() % 14 : kHeader + length;
  }

  const int fd_;
  Random random_;
  std::atomic<uint64_t>* const received_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

/** A port and those behind it. */
struct Station {
  std::shared_ptr<Port> port;
  std::vector<std::unique_ptr<Peer>> peers;
  std::vector<uint64_t> counters = std::vector<uint64_t>(PortCounters::Needed(kQueues));
};

std::unique_ptr<Station> MakeStation(unsigned seed, std::atomic<uint64_t>* received) {
  auto station = std::make_unique<Station>();
  std::vector<TapPort::Queue> queues;
  for (size_t queue = 0; queue < kQueues; ++queue) {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
    queues.push_back({Fd(fds[0]), kHeader});
    station->peers.push_back(
        std::make_unique<Peer>(fds[1], seed * 10 + static_cast<unsigned>(queue), received));
  }
  TapPort::Settings settings;
  // Every other port takes super-frames.
  if (seed % 2 == 0) settings.offloads = {true, true, true, true};
  station->port = std::make_shared<TapPort>(std::move(queues), settings);
  return station;
}

PortSettings RandomSettings(Random& random) {
  PortSettings settings;
  settings.paused = random() % 4 == 0;
  settings.isolated = random() % 3 == 0;
  settings.learning = random() % 4 != 0;
  settings.flood = static_cast<uint8_t>(random() % 8);
  settings.storm_limit = random() % 2 == 0 ? 0 : 1000;
  return settings;
}

uint64_t Sum(const std::vector<uint64_t>& counters) {
  uint64_t sum = 0;
  for (const uint64_t& counter : counters)
    sum += __atomic_load_n(&counter, __ATOMIC_RELAXED);
  return sum;
}

/** One forwarder from its beginning to its end. */
bool Round(unsigned seed, std::chrono::milliseconds time) {
  Random random(seed);
  std::atomic<uint64_t> received{0};
  std::atomic<uint64_t> told{0};
  const bool switching = seed % 3 != 0;
  Forwarder::Settings settings;
  settings.name = "stress";
  settings.threads = seed % 4 == 0 ? 3 : 64;
  settings.busy_poll = std::chrono::microseconds(seed % 5 == 0 ? 100 : 0);
  settings.egress.patience = std::chrono::microseconds(seed % 2 == 0 ? 0 : 500);
  settings.egress.merge = seed % 3 == 1;
  std::unique_ptr<Rules> rules;
  MacTable* table = nullptr;
  if (switching) {
    auto switch_rules = std::make_unique<SwitchRules>(seed % 2 == 0 ? 32 : 1024, 1);
    table = &switch_rules->table();
    rules = std::move(switch_rules);
  } else {
    rules = std::make_unique<PipeRules>();
  }
  Forwarder forwarder(settings, std::move(rules), [&told](uint32_t, PortEvent, int) { ++told; });

  std::vector<std::unique_ptr<Station>> stations;
  std::vector<std::pair<uint32_t, size_t>> ports;
  const size_t most = switching ? kPorts : 2;
  for (size_t i = 0; i < most; ++i)
    stations.push_back(MakeStation(seed + static_cast<unsigned>(i), &received));
  const auto end = std::chrono::steady_clock::now() + time;
  const auto add = [&] {
    for (size_t i = 0; i < most; ++i) {
      bool there = false;
      for (const auto& [id, at] : ports)
        there = there || at == i;
      if (there) continue;
      const Result<uint32_t> id =
          forwarder.Add(stations[i]->port, stations[i]->counters.data(), RandomSettings(random));
      if (id) ports.emplace_back(id.value, i);
    }
  };
  add();
  std::atomic<bool> over{false};
  std::mutex exchanging;
  // Another thread removes and looks at things, as those of an engine do.
  std::thread other([&] {
    Random own(seed + 1);
    while (!over) {
      if (table != nullptr) {
        table->List(MacTable::Now());
        table->Fix(0x020000000000 + own() % 64, static_cast<uint16_t>(own() % kPorts));
        table->Remove(0x020000000000 + own() % 64);
        table->Flush(own() % 2 == 0 ? MacTable::kNone : 0);
        forwarder.IdOf(static_cast<uint16_t>(own() % kPorts));
      }
      {
        const std::lock_guard lock(exchanging);
        for (const std::unique_ptr<Station>& station : stations)
          Sum(station->counters);
      }
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
  });
  while (std::chrono::steady_clock::now() < end) {
    const size_t chosen = random() % ports.size();
    switch (random() % 6) {
      case 0:
        forwarder.Remove(ports[chosen].first);
        ports.erase(ports.begin() + static_cast<ptrdiff_t>(chosen));
        if (ports.empty()) add();
        break;
      case 1:
        add();
        break;
      case 2:
        // Its peers hang up: it is gone, and a new one takes its place.
        if (random() % 8 != 0) break;
        stations[ports[chosen].second]->peers.clear();
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        forwarder.Remove(ports[chosen].first);
        {
          const std::lock_guard lock(exchanging);
          stations[ports[chosen].second] = MakeStation(static_cast<unsigned>(random()), &received);
        }
        ports.erase(ports.begin() + static_cast<ptrdiff_t>(chosen));
        add();
        break;
      default:
        forwarder.Set({{ports[chosen].first, RandomSettings(random)}});
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
  }
  over = true;
  other.join();
  forwarder.Close(std::chrono::milliseconds(seed % 2 == 0 ? 0 : 50));
  if (forwarder.threads() != 0) {
    std::fprintf(stderr, "threads stay\n");
    return false;
  }
  std::printf("round %u: %s, %llu frames received, %llu events\n", seed, switching ? "switch" : "pipe",
              static_cast<unsigned long long>(received.load()), static_cast<unsigned long long>(told.load()));
  return received.load() > 0;
}

}  // namespace

int main(int count, char** arguments) {
  std::signal(SIGPIPE, SIG_IGN);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const double seconds = count > 1 ? std::atof(arguments[1]) : 5;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (unsigned seed = 1; seed <= 6 || std::chrono::steady_clock::now() < end; ++seed) {
    if (!Round(seed, std::chrono::milliseconds(static_cast<int>(seconds * 1000 / 8)))) return 1;
  }
  std::printf("done\n");
  return 0;
}
