// Offloads over damaged frames, in memory of exactly their size: offload-fuzz SEED MILLISECONDS < CORPUS
//
// The corpus is one frame after the other: 4 bytes of length, 10 of its virtio-net header, the frame.
// Compiled with sanitizers, it dies where a byte outside is touched; it checks itself what must hold for any
// bytes.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "offload/offload.h"

using namespace linkwright;  // NOLINT(google-build-using-namespace)

namespace {

struct Sample {
  VnetHeader header;
  std::vector<uint8_t> bytes;
};

/** A frame in memory of its own, without a byte to spare. */
struct Exact {
  std::unique_ptr<uint8_t[]> bytes;
  size_t length = 0;
  VnetHeader header;

  explicit Exact(const Sample& sample)
      : bytes(new uint8_t[sample.bytes.size()]), length(sample.bytes.size()), header(sample.header) {
    if (length != 0) std::memcpy(bytes.get(), sample.bytes.data(), length);
  }
};

uint64_t state = 0;

uint32_t Next(uint32_t below) {
  // SplitMix64.
  uint64_t mixed = state += 0x9e3779b97f4a7c15;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return static_cast<uint32_t>((mixed ^ (mixed >> 31)) % below);
}

void Check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

std::vector<Sample> ReadCorpus() {
  std::vector<Sample> corpus;
  uint32_t length = 0;
  while (std::fread(&length, sizeof length, 1, stdin) == 1) {
    Sample sample;
    Check(std::fread(&sample.header, kVnetHeaderBytes, 1, stdin) == 1, "a header");
    sample.bytes.resize(length);
    Check(std::fread(sample.bytes.data(), 1, length, stdin) == length, "a frame");
    corpus.push_back(std::move(sample));
  }
  return corpus;
}

uint16_t Interesting(size_t length) {
  const uint16_t values[] = {0,
                             1,
                             2,
                             7,
                             8,
                             20,
                             0x7fff,
                             0x8000,
                             0xfffe,
                             0xffff,
                             static_cast<uint16_t>(length),
                             static_cast<uint16_t>(length - 1),
                             static_cast<uint16_t>(Next(length + 2))};
  return values[Next(sizeof values / sizeof *values)];
}

Sample Damaged(Sample sample) {
  for (uint32_t times = Next(5); times > 0; --times) {
    // Mostly where headers are.
    const size_t size = sample.bytes.size();
    if (size == 0) break;
    const size_t at = Next(static_cast<uint32_t>(Next(4) == 0 || size < 120 ? size : 120));
    switch (Next(5)) {
      case 0:
        sample.bytes[at] = static_cast<uint8_t>(Next(256));
        break;
      case 1:
        sample.bytes[at] ^= static_cast<uint8_t>(1 << Next(8));
        break;
      case 2:
        sample.bytes.resize(Next(static_cast<uint32_t>(size) + 1));
        break;
      case 3:
        sample.bytes.insert(sample.bytes.begin() + static_cast<ptrdiff_t>(at), Next(40), sample.bytes[at]);
        break;
      default:
        sample.bytes.erase(sample.bytes.begin() + static_cast<ptrdiff_t>(at));
    }
  }
  const size_t size = sample.bytes.size();
  switch (Next(12)) {
    case 0:
      sample.header.gso_size = Interesting(size);
      break;
    case 1:
      sample.header.checksum_start = Interesting(size);
      break;
    case 2:
      sample.header.checksum_offset = Interesting(size);
      break;
    case 3:
      sample.header.gso_type = static_cast<uint8_t>(Next(256));
      break;
    case 4:
      sample.header.flags = static_cast<uint8_t>(Next(4));
      break;
    case 5:
      sample.header.header_length = Interesting(size);
      break;
    default:
      break;
  }
  return sample;
}

void TryChecksum(const Sample& sample) {
  Exact frame(sample);
  const bool asked = (frame.header.flags & VnetHeader::kNeedsChecksum) != 0;
  if (CompleteChecksum(frame.bytes.get(), frame.length, &frame.header)) {
    Check((frame.header.flags & VnetHeader::kNeedsChecksum) == 0, "a completed frame does not ask again");
  } else {
    Check(asked && std::equal(sample.bytes.begin(), sample.bytes.end(), frame.bytes.get()),
          "a refused frame is as it was");
  }
}

void TrySegments(const Sample& sample, Layer layer) {
  const Exact frame(sample);
  const Segmenter segmenter(frame.bytes.get(), frame.length, frame.header, layer);
  if (!segmenter.valid()) return;
  Check(segmenter.segments() <= Segmenter::kMostSegments, "no more segments than allowed");
  Check(segmenter.largest() <= frame.length, "no segment is longer than all of it");
  size_t written = 0;
  for (size_t i = 0; i < segmenter.segments(); ++i) {
    const std::unique_ptr<uint8_t[]> out(new uint8_t[segmenter.largest()]);
    const size_t length = segmenter.Write(i, out.get());
    Check(length <= segmenter.largest(), "a segment fits");
    Check(i + 1 == segmenter.segments() || length == segmenter.largest(), "only the last is shorter");
    written += length;
    // What comes out is what merging takes for a whole frame.
    Headers headers;
    Check(FindHeaders(out.get(), length, layer, &headers), "a segment has headers");
  }
  Check(written >= frame.length, "no payload is lost");
}

/** Frames come out in another grouping, with nothing lost, and can be taken apart to what they were. */
void TryMerging(const std::vector<Sample>& samples, Layer layer) {
  std::vector<Exact> frames;
  for (const Sample& sample : samples)
    frames.emplace_back(sample);
  Coalescer coalescer(layer, {true, Next(4) != 0, Next(4) != 0, Next(4) != 0}, frames.size());
  for (int again = 0; again < 2; ++again) {
    coalescer.Clear();
    for (const Exact& frame : frames) {
      Check(coalescer.Add(frame.bytes.get(), frame.length, frame.header), "there is room");
    }
    if (!frames.empty()) Check(!coalescer.Add(frames[0].bytes.get(), 1, {}), "there is no more room");
    coalescer.Finish();
  }
  size_t total = 0;
  for (size_t i = 0; i < coalescer.count(); ++i) {
    total += coalescer.frames(i);
    const size_t length = coalescer.length(i);
    const std::unique_ptr<uint8_t[]> out(new uint8_t[length]);
    Check(coalescer.Copy(i, out.get()) == length, "a copy is as long as announced");
    const std::unique_ptr<iovec[]> pieces(new iovec[coalescer.pieces(i)]);
    const size_t count = coalescer.Gather(i, pieces.get());
    Check(count == coalescer.pieces(i), "as many pieces as announced");
    const size_t gathered =
        std::accumulate(pieces.get(), pieces.get() + count, size_t{0},
                        [](size_t sum, const iovec& piece) { return sum + piece.iov_len; });
    Check(gathered == length, "the pieces are all of it");
    if (coalescer.frames(i) == 1) continue;
    const Segmenter segmenter(out.get(), length, coalescer.header(i), layer);
    Check(segmenter.valid() && segmenter.segments() == coalescer.frames(i), "what was merged can be split");
  }
  Check(total == frames.size(), "no frame is lost");
}

/** A guest that changes a frame while it is looked at: whatever comes out, nothing outside is touched. */
void TryChanging(const Sample& sample, Layer layer) {
  Exact frame(sample);
  if (frame.length == 0) return;
  std::atomic<bool> stop{false};
  const uint64_t seed = state;
  std::thread guest([&] {
    uint64_t own = seed;
    while (!stop.load(std::memory_order_relaxed)) {
      own = own * 6364136223846793005 + 1442695040888963407;
      const size_t at = (own >> 33) % (frame.length < 120 ? frame.length : 120);
      __atomic_store_n(&frame.bytes[at], static_cast<uint8_t>(own >> 24), __ATOMIC_RELAXED);
    }
  });
  for (int round = 0; round < 200; ++round) {
    const Segmenter segmenter(frame.bytes.get(), frame.length, frame.header, layer);
    const size_t segments = segmenter.segments() < 8 ? segmenter.segments() : 8;
    for (size_t i = 0; i < segments; ++i) {
      const std::unique_ptr<uint8_t[]> out(new uint8_t[segmenter.largest()]);
      segmenter.Write(i, out.get());
    }
    Coalescer coalescer(layer, {true, true, true, true}, 3);
    VnetHeader header;
    header.flags = VnetHeader::kDataValid;
    for (int i = 0; i < 3; ++i)
      coalescer.Add(frame.bytes.get(), frame.length, header);
    coalescer.Finish();
    for (size_t i = 0; i < coalescer.count(); ++i) {
      const std::unique_ptr<uint8_t[]> out(new uint8_t[coalescer.length(i)]);
      coalescer.Copy(i, out.get());
    }
  }
  stop = true;
  guest.join();
}

}  // namespace

int main(int argc, char** argv) {
  Check(argc == 3, "two arguments");
  state = std::strtoull(argv[1], nullptr, 10);
  const std::vector<Sample> corpus = ReadCorpus();
  Check(!corpus.empty(), "a corpus");
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(std::strtol(argv[2], nullptr, 10));
  const auto any = [&]() -> const Sample& { return corpus[Next(static_cast<uint32_t>(corpus.size()))]; };
  size_t rounds = 0;
  for (; rounds < 100 || Clock::now() < end; ++rounds) {
    const Layer layer = Next(3) == 0 ? Layer::kIp : Layer::kEthernet;
    const Sample damaged = Damaged(any());
    TryChecksum(damaged);
    TrySegments(damaged, layer);
    // Runs of the corpus, which are flows, with damage in between.
    std::vector<Sample> batch;
    uint32_t at = Next(static_cast<uint32_t>(corpus.size()));
    for (uint32_t left = Next(40); left > 0; --left) {
      if (Next(10) == 0) at = Next(static_cast<uint32_t>(corpus.size()));
      const Sample& sample = corpus[at++ % corpus.size()];
      batch.push_back(Next(6) == 0 ? Damaged(sample) : sample);
    }
    TryMerging(batch, layer);
    if (rounds % 500 == 0) TryChanging(Next(2) == 0 ? damaged : any(), layer);
  }
  std::printf("%zu\n", rounds);
}
