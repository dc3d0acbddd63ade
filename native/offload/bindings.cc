// Offloads in software, for JavaScript: over whole batches, at once. The bytes may be shared with other
// threads and change meanwhile; nothing outside of them is read or written all the same.

#include <napi.h>

#include <algorithm>
#include <cstring>

#include "bindings.h"
#include "error.h"
#include "offload/offload.h"

namespace linkwright {
namespace {

/** Frames begin at a cache line each. */
constexpr size_t Align(size_t offset) {
  return (offset + 63) & ~size_t{63};
}

// Bits of what a receiver takes.
constexpr uint32_t kTakesChecksum = 1;
constexpr uint32_t kTakesTso4 = 2;
constexpr uint32_t kTakesTso6 = 4;
constexpr uint32_t kTakesUso = 8;

/** A batch of frames that JavaScript owns. */
struct Batch {
  uint8_t* bytes = nullptr;
  size_t size = 0;
  uint32_t* offsets = nullptr;
  uint32_t* lengths = nullptr;
  size_t capacity = 0;
  size_t vnet_header = 0;

  /** Whether a frame and its header lie in the slab: JavaScript may have written anything into the tables. */
  bool Frame(size_t index, uint8_t** frame, size_t* length) const {
    const size_t offset = __atomic_load_n(&offsets[index], __ATOMIC_RELAXED);
    *length = __atomic_load_n(&lengths[index], __ATOMIC_RELAXED);
    *frame = bytes + offset;
    return offset >= vnet_header && offset <= size && *length <= size - offset;
  }
  VnetHeader Header(const uint8_t* frame) const {
    VnetHeader header;
    if (vnet_header >= kVnetHeaderBytes) std::memcpy(&header, frame - vnet_header, kVnetHeaderBytes);
    return header;
  }
  void SetHeader(uint8_t* frame, const VnetHeader& header) const {
    if (vnet_header >= kVnetHeaderBytes) std::memcpy(frame - vnet_header, &header, kVnetHeaderBytes);
  }
};

/** A batch that frames are put into, behind those that it has. */
struct Target {
  Batch batch;
  size_t headroom = 0;
  size_t count = 0;
  size_t used = 0;

  /** Room for a frame of at most so many bytes, or null. */
  uint8_t* Reserve(size_t length) const {
    const size_t offset = Align(used) + headroom + batch.vnet_header;
    const bool fits = count < batch.capacity && offset <= batch.size && length <= batch.size - offset;
    return fits ? batch.bytes + offset : nullptr;
  }
  void Commit(uint8_t* frame, size_t length, const VnetHeader& header) {
    std::memset(frame - batch.vnet_header, 0, batch.vnet_header);
    batch.SetHeader(frame, header);
    const auto offset = static_cast<size_t>(frame - batch.bytes);
    batch.offsets[count] = static_cast<uint32_t>(offset);
    batch.lengths[count] = static_cast<uint32_t>(length);
    count++;
    used = offset + length;
  }
};

/** How far the source was worked through, in a Uint32Array of JavaScript's. */
struct Progress {
  enum { kFrames, kSegments, kRefused, kSlots };
  uint32_t* slots = nullptr;
};

/** Reads arguments from left to right; the first that is wrong makes all fail. */
class Reader {
 public:
  explicit Reader(const Napi::CallbackInfo& info) : info_(info) {}

  size_t Integer(size_t most) {
    int64_t integer = -1;
    if (napi_get_value_int64(info_.Env(), info_[next_++], &integer) != napi_ok || integer < 0 ||
        static_cast<uint64_t>(integer) > most) {
      right_ = false;
      return 0;
    }
    return static_cast<size_t>(integer);
  }
  template <typename Element>
  Element* Array(napi_typedarray_type wanted, size_t* length) {
    napi_typedarray_type type = napi_int8_array;
    void* data = nullptr;
    const napi_status status =
        napi_get_typedarray_info(info_.Env(), info_[next_++], &type, length, &data, nullptr, nullptr);
    right_ = right_ && status == napi_ok && type == wanted;
    return static_cast<Element*>(data);
  }
  Batch ReadBatch() {
    Batch batch;
    size_t offsets = 0;
    size_t lengths = 0;
    batch.bytes = Array<uint8_t>(napi_uint8_array, &batch.size);
    batch.offsets = Array<uint32_t>(napi_uint32_array, &offsets);
    batch.lengths = Array<uint32_t>(napi_uint32_array, &lengths);
    batch.capacity = std::min(offsets, lengths);
    batch.vnet_header = Integer(kMost);
    // No offset can say where a frame beyond that begins.
    right_ = right_ && batch.size <= UINT32_MAX;
    return batch;
  }
  Target ReadTarget() {
    Target target;
    target.batch = ReadBatch();
    target.headroom = Integer(kMost);
    target.count = Integer(target.batch.capacity);
    if (!right_ || target.count == 0) return target;
    uint8_t* last = nullptr;
    size_t length = 0;
    right_ = target.batch.Frame(target.count - 1, &last, &length);
    target.used = right_ ? static_cast<size_t>(last - target.batch.bytes) + length : 0;
    return target;
  }
  Progress ReadProgress() {
    size_t slots = 0;
    Progress progress{Array<uint32_t>(napi_uint32_array, &slots)};
    right_ = right_ && slots >= Progress::kSlots;
    return progress;
  }
  Layer ReadLayer() { return Integer(1) == 0 ? Layer::kEthernet : Layer::kIp; }
  Offloads ReadOffloads() {
    const size_t bits = Integer(kTakesChecksum | kTakesTso4 | kTakesTso6 | kTakesUso);
    return {(bits & kTakesChecksum) != 0, (bits & kTakesTso4) != 0, (bits & kTakesTso6) != 0,
            (bits & kTakesUso) != 0};
  }
  /** Whether all were right; else an exception is thrown. */
  bool Right() {
    if (!right_) ArgumentError(info_.Env(), "not a batch of frames").ThrowAsJavaScriptException();
    return right_;
  }

 private:
  /** More than any header or headroom, and far from an overflow. */
  static constexpr size_t kMost = 65'536;

  const Napi::CallbackInfo& info_;
  size_t next_ = 0;
  bool right_ = true;
};

Napi::Value Number(const Napi::CallbackInfo& info, size_t value) {
  return Napi::Number::New(info.Env(), static_cast<double>(value));
}

/** (bytes, offsets, lengths, vnetHeader, from, to): how many were completed. */
Napi::Value CompleteChecksums(const Napi::CallbackInfo& info) {
  Reader read(info);
  const Batch batch = read.ReadBatch();
  const size_t from = read.Integer(batch.capacity);
  const size_t to = read.Integer(batch.capacity);
  if (!read.Right()) return {};
  size_t completed = 0;
  for (size_t i = from; i < to; ++i) {
    uint8_t* frame = nullptr;
    size_t length = 0;
    if (!batch.Frame(i, &frame, &length)) continue;
    VnetHeader header = batch.Header(frame);
    if ((header.flags & VnetHeader::kNeedsChecksum) == 0 || !CompleteChecksum(frame, length, &header))
      continue;
    batch.SetHeader(frame, header);
    completed++;
  }
  return Number(info, completed);
}

/** Copies a frame, and completes its checksum where the receiver does not. */
enum class Copied { kYes, kNoRoom, kRefused };
Copied CopyFrame(const uint8_t* frame, size_t length, VnetHeader header, const Offloads& receiver,
                 Target* into) {
  uint8_t* const out = into->Reserve(length);
  if (out == nullptr) return Copied::kNoRoom;
  std::memcpy(out, frame, length);
  if (NeedsWork(header, receiver) && !CompleteChecksum(out, length, &header)) return Copied::kRefused;
  into->Commit(out, length, header);
  return Copied::kYes;
}

/**
 * (bytes, offsets, lengths, vnetHeader, frames, progress, layer, offloads, then into: bytes, offsets,
 * lengths, vnetHeader, headroom, frames): how many frames `into` has now.
 */
Napi::Value SegmentFrames(const Napi::CallbackInfo& info) {
  Reader read(info);
  const Batch from = read.ReadBatch();
  const size_t frames = read.Integer(from.capacity);
  const Progress progress = read.ReadProgress();
  const Layer layer = read.ReadLayer();
  Offloads receiver = read.ReadOffloads();
  Target into = read.ReadTarget();
  if (!read.Right()) return {};
  // Nothing could say what is left to do.
  if (into.batch.vnet_header < kVnetHeaderBytes) receiver = {};

  size_t at = progress.slots[Progress::kFrames];
  size_t segment = progress.slots[Progress::kSegments];
  size_t refused = progress.slots[Progress::kRefused];
  bool room = true;
  while (room && at < frames) {
    uint8_t* frame = nullptr;
    size_t length = 0;
    bool understood = from.Frame(at, &frame, &length);
    if (understood) {
      const VnetHeader header = from.Header(frame);
      if (header.gso_type == VnetHeader::kGsoNone || !NeedsWork(header, receiver)) {
        const Copied copied = CopyFrame(frame, length, header, receiver, &into);
        room = copied != Copied::kNoRoom;
        understood = copied != Copied::kRefused;
      } else {
        const Segmenter segmenter(frame, length, header, layer);
        understood = segmenter.valid();
        for (; room && segment < segmenter.segments(); segment += room ? 1 : 0) {
          uint8_t* const out = into.Reserve(segmenter.largest());
          room = out != nullptr;
          if (room) into.Commit(out, segmenter.Write(segment, out), {});
        }
      }
    }
    if (!room) break;
    if (!understood) refused++;
    segment = 0;
    at++;
  }
  progress.slots[Progress::kFrames] = static_cast<uint32_t>(at);
  progress.slots[Progress::kSegments] = static_cast<uint32_t>(segment);
  progress.slots[Progress::kRefused] = static_cast<uint32_t>(refused);
  return Number(info, into.count);
}

/** The same arguments and result, but `into` must have virtio-net headers; the segments of `progress` are
 * ignored. */
Napi::Value MergeFrames(const Napi::CallbackInfo& info) {
  Reader read(info);
  const Batch from = read.ReadBatch();
  const size_t frames = read.Integer(from.capacity);
  const Progress progress = read.ReadProgress();
  const Layer layer = read.ReadLayer();
  const Offloads receiver = read.ReadOffloads();
  Target into = read.ReadTarget();
  if (!read.Right()) return {};

  size_t at = progress.slots[Progress::kFrames];
  size_t refused = progress.slots[Progress::kRefused];
  Coalescer coalescer(layer, receiver, at < frames ? frames - at : 0);
  // Merged or not, and in whatever order, they take at most the room that all of them take as they are.
  size_t needed = Align(into.used);
  for (; at < frames; ++at) {
    uint8_t* frame = nullptr;
    size_t length = 0;
    if (!from.Frame(at, &frame, &length)) {
      refused++;
      continue;
    }
    needed += Align(into.headroom + into.batch.vnet_header + length);
    const bool fits = coalescer.count() == 0
                          ? into.Reserve(length) != nullptr
                          : needed <= into.batch.size && into.count + coalescer.count() < into.batch.capacity;
    if (!fits) break;
    coalescer.Add(frame, length, from.Header(frame));
  }
  coalescer.Finish();
  for (size_t i = 0; i < coalescer.count(); ++i) {
    uint8_t* const out = into.Reserve(coalescer.length(i));
    if (out != nullptr) into.Commit(out, coalescer.Copy(i, out), coalescer.header(i));
  }
  progress.slots[Progress::kFrames] = static_cast<uint32_t>(at);
  progress.slots[Progress::kRefused] = static_cast<uint32_t>(refused);
  return Number(info, into.count);
}

}  // namespace

void RegisterOffload(const std::shared_ptr<Environment>& /*environment*/, Napi::Object exports) {
  Export<CompleteChecksums>(exports, "completeChecksums");
  Export<SegmentFrames>(exports, "segmentFrames");
  Export<MergeFrames>(exports, "mergeFrames");
}

}  // namespace linkwright
