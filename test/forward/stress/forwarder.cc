// Forwarders under load from all sides, without Node: for ThreadSanitizer, which sees every thread here.
//
// Ports are queues of socket pairs with virtio-net headers, streams and UDP sockets. Behind each, one thread
// writes frames of random stations and reads what comes; meanwhile ports are added, changed, mirrored and
// removed, addresses fixed and forgotten, and counters and mirrors read.
//
// Usage: forwarder SECONDS

#include "forward/forwarder.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
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
#include "forward/udp_port.h"
#include "forward/unix_datagram_port.h"
#include "forward/unix_stream_port.h"
#include "offload/bytes.h"

using namespace linkwright;  // NOLINT(google-build-using-namespace)

namespace {

constexpr size_t kHeader = 12;
constexpr size_t kQueues = 2;
constexpr size_t kPorts = 5;

using Random = std::minstd_rand;

/** What stands before a frame. */
enum class Framing : uint8_t { kVnetHeader, kNothing, kLength };

[[noreturn]] void Fail(const char* why) {
  std::fprintf(stderr, "%s\n", why);
  std::abort();
}

/** The other end of a queue: a host that sends and receives. */
class Peer {
 public:
  Peer(int fd, Framing framing, unsigned seed, std::atomic<uint64_t>* received)
      : fd_(fd), framing_(framing), random_(seed), received_(received), thread_([this] { Main(); }) {}
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
      ssize_t length = 0;
      while ((length = ::read(fd_, memory.data(), memory.size())) > 0) {
        received_->fetch_add(1, std::memory_order_relaxed);
        if (framing_ == Framing::kLength) Follow(memory.data(), static_cast<size_t>(length));
      }
      for (int burst = 0; burst < 20; ++burst)
        if (!Write(memory.data(), Make(memory.data()))) break;
    }
  }

  /** One length leads to the next: no frame came into the midst of another. */
  void Follow(const uint8_t* data, size_t length) {
    stream_.insert(stream_.end(), data, data + length);
    size_t at = 0;
    while (stream_.size() - at >= kPrefix) {
      const size_t frame = LoadBig32(stream_.data() + at);
      if (frame > 70'000) Fail("frames of a stream are mixed");
      if (stream_.size() - at < kPrefix + frame) break;
      if (frame >= 14 && LoadBig16(stream_.data() + at + kPrefix + 12) != 0x0800)
        Fail("a frame of a stream is another");
      at += kPrefix + frame;
    }
    stream_.erase(stream_.begin(), stream_.begin() + static_cast<ptrdiff_t>(at));
  }

  /** Writes what Make() has made. */
  bool Write(uint8_t* made, size_t length) {
    if (framing_ == Framing::kVnetHeader) return ::write(fd_, made, length) >= 0;
    uint8_t* begin = made + kHeader;
    length -= kHeader;
    if (framing_ == Framing::kNothing) return ::write(fd_, begin, length) >= 0;
    begin -= kPrefix;
    StoreBig32(begin, static_cast<uint32_t>(length));
    length += kPrefix;
    for (bool begun = false; length > 0 && !over_;) {
      const ssize_t written = ::write(fd_, begin, length);
      if (written < 0 && (errno != EAGAIN || !begun)) return false;
      begun = true;
      begin += std::max<ssize_t>(written, 0);
      length -= static_cast<size_t>(std::max<ssize_t>(written, 0));
    }
    return true;
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

  static constexpr size_t kPrefix = 4;

  const int fd_;
  const Framing framing_;
  std::vector<uint8_t> stream_;
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
  std::shared_ptr<Mirror> mirror = std::make_shared<Mirror>();
};

/** A port of a UDP socket, and the descriptor of its peer. Null where there is no loopback interface. */
std::shared_ptr<Port> MakeUdpPort(int* peer) {
  *peer = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof(address);
  if (::bind(*peer, name, length) != 0 || ::getsockname(*peer, name, &length) != 0) return nullptr;
  UdpOptions options;
  options.local.address = options.remote.address = "127.0.0.1";
  options.remote.port = ntohs(address.sin_port);
  Result<UdpSocket> socket = OpenUdpSocket(options);
  if (!socket) return nullptr;
  address.sin_port = htons(socket.value.local.port);
  if (::connect(*peer, name, sizeof(address)) != 0) return nullptr;
  return std::make_shared<UdpPort>(std::move(socket.value));
}

/** A port of a socket: a stream whose frames it takes in parts, or datagrams. */
std::unique_ptr<Station> MakeSocketStation(unsigned seed, std::atomic<uint64_t>* received) {
  auto station = std::make_unique<Station>();
  int peer = -1;
  if (seed % 2 == 0) station->port = MakeUdpPort(&peer);
  Framing framing = Framing::kNothing;
  if (station->port == nullptr) {
    if (peer >= 0) ::close(peer);
    framing = seed % 4 == 1 ? Framing::kLength : Framing::kNothing;
    const int type = framing == Framing::kLength ? SOCK_STREAM : SOCK_DGRAM;
    int fds[2];
    if (::socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) Fail("no sockets");
    SetSocketBuffers(fds[0], 8192, 0);
    peer = fds[1];
    if (framing == Framing::kLength) {
      station->port = std::make_shared<UnixStreamPort>(Fd(fds[0]));
    } else {
      station->port = std::make_shared<UnixDatagramPort>(Fd(fds[0]), "");
    }
  }
  station->peers.push_back(std::make_unique<Peer>(peer, framing, seed, received));
  return station;
}

std::unique_ptr<Station> MakeStation(unsigned seed, std::atomic<uint64_t>* received) {
  if (seed % 3 == 2) return MakeSocketStation(seed / 3, received);
  auto station = std::make_unique<Station>();
  std::vector<TapPort::Queue> queues;
  for (size_t queue = 0; queue < kQueues; ++queue) {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) Fail("no sockets");
    queues.push_back({Fd(fds[0]), kHeader});
    const unsigned own = seed * 10 + static_cast<unsigned>(queue);
    station->peers.push_back(std::make_unique<Peer>(fds[1], Framing::kVnetHeader, own, received));
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

/** Switches a mirror on or off, or takes what it holds; gives the number of frames. */
size_t Exercise(Mirror& mirror, Random& random, Mirror::Page* page) {
  const unsigned choice = random() % 16;
  if (choice == 0) mirror.Stop();
  if (choice == 1 || choice == 2) mirror.Start(choice == 1 ? 64 : 0x7fffffff);
  if (choice <= 2) return 0;
  mirror.Take(page);
  size_t end = 0;
  for (const Mirror::Copy& copy : page->copies) {
    const bool right = copy.offset >= end + kVnetHeaderBytes && copy.length <= copy.original_length;
    end = copy.offset + copy.length;
    if (!right || end > page->used || page->used > Mirror::kBytes) Fail("a mirror holds nonsense");
    // Each of them is looked at, which the sanitizers see.
    if (copy.length >= 14 && LoadBig16(page->memory.get() + copy.offset + 12) != 0x0800)
      Fail("a copy is another");
  }
  return page->copies.size();
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
      const Result<uint32_t> id = forwarder.Add(stations[i]->port, stations[i]->counters.data(),
                                                stations[i]->mirror, RandomSettings(random));
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
  // And one that captures.
  std::atomic<uint64_t> mirrored{0};
  std::thread capturing([&] {
    Random own(seed + 2);
    Mirror::Page page;
    while (!over) {
      std::vector<std::shared_ptr<Mirror>> mirrors;
      {
        const std::lock_guard lock(exchanging);
        for (const std::unique_ptr<Station>& station : stations)
          mirrors.push_back(station->mirror);
      }
      for (const std::shared_ptr<Mirror>& mirror : mirrors)
        mirrored += Exercise(*mirror, own, &page);
      std::this_thread::sleep_for(std::chrono::microseconds(100));
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
  capturing.join();
  forwarder.Close(std::chrono::milliseconds(seed % 2 == 0 ? 0 : 50));
  if (forwarder.threads() != 0) {
    std::fprintf(stderr, "threads stay\n");
    return false;
  }
  std::printf("round %u: %s, %llu frames received, %llu mirrored, %llu events\n", seed,
              switching ? "switch" : "pipe", static_cast<unsigned long long>(received.load()),
              static_cast<unsigned long long>(mirrored.load()), static_cast<unsigned long long>(told.load()));
  return received.load() > 0 && mirrored.load() > 0;
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
