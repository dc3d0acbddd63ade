#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "offload/packet.h"
#include "offload/receiver.h"
#include "offload/vnet_header.h"

namespace linkwright {

/**
 * Merges consecutive segments of TCP and UDP flows (GRO) of one batch into super-frames, which a Segmenter
 * takes apart into the very same bytes; except for the identifications of IPv4 packets with DF, which mean
 * nothing (RFC 6864) and become consecutive. Frames of a flow keep their order, and no frame is dropped: what
 * cannot be merged comes out as it is.
 *
 * Of one flow are frames with the same MACs, VLAN tags, addresses and ports. They are merged where nothing
 * but lengths, IPv4 identification, sequence number, checksums and PSH differs, the checksums are right, each
 * begins where the one before ends, and only the last is shorter or has PSH.
 */
class Coalescer {
 public:
  /** Most segments of a super-frame. */
  static constexpr size_t kMostSegments = 128;

  /** @param receiver what it takes; nothing is merged into what it does not take */
  Coalescer(Layer layer, const Offloads& receiver, size_t frames);

  /** Forgets all frames. */
  void Clear();
  /** Takes a frame, which stays where it is, unchanged, until Clear(). False when it has as many as it was
   * made for. */
  bool Add(const uint8_t* frame, size_t length, const VnetHeader& header);
  /** Makes the headers of super-frames, when all frames were added. */
  void Finish();

  /** What came of them, in order of the first frame of each. */
  size_t count() const { return outputs_.size(); }
  const VnetHeader& header(size_t index) const { return outputs_[index].header; }
  size_t length(size_t index) const { return outputs_[index].length; }
  /** Frames that went into it. */
  size_t frames(size_t index) const { return outputs_[index].frames; }
  /** How many pieces Gather() writes. */
  size_t pieces(size_t index) const { return frames(index) == 1 ? 1 : frames(index) + 1; }
  /** Its bytes as pieces for writev(); returns how many, at most kMostSegments + 1. They are valid until
   * Clear(). */
  size_t Gather(size_t index, iovec* pieces) const;
  /** Copies its bytes to `out`, which has room for length(index); returns that. */
  size_t Copy(size_t index, uint8_t* out) const;

 private:
  /** A frame of a flow. */
  struct Packet {
    const uint8_t* frame = nullptr;
    Headers headers;
    /** Of Ethernet, IP and TCP or UDP. */
    size_t header_bytes = 0;
    size_t payload = 0;
    uint32_t hash = 0;
    uint32_t sequence = 0;
    uint16_t identification = 0;
    bool push = false;
  };

  /** What is put out: a frame, or several of a flow. */
  struct Output {
    const uint8_t* frame;
    size_t length;
    VnetHeader header;
    uint32_t frames = 1;
    /** Of its flow; only looked at by those that were put into a bucket. */
    Packet first;
    uint32_t next_sequence = 0;
    /** Whether another frame may be joined. */
    bool open = false;
    /** Output that was put into the same bucket before. */
    int32_t older = kNone;
    /** Payloads after the first: members_. */
    int32_t first_member = kNone;
    int32_t last_member = kNone;
    /** Its own header in heads_, when it is of several frames. */
    int32_t head = kNone;
  };

  struct Member {
    const uint8_t* payload;
    size_t length;
    int32_t next;
  };

  /** Ethernet with two tags, IPv6, TCP with all its options. */
  static constexpr size_t kLargestHeader = 14 + 8 + kIpv6Header + 60;
  using Head = std::array<uint8_t, kLargestHeader>;

  static constexpr int32_t kNone = -1;
  static constexpr size_t kBuckets = 256;

  enum class Kind { kNoFlow, kFragment, kAlone, kSegment };

  Kind Classify(const uint8_t* frame, size_t length, const VnetHeader& header, Packet* packet) const;
  Output* FindOpen(const Packet& packet);
  bool MayJoin(const Output& output, const Packet& packet) const;
  void Join(Output* output, const Packet& packet);
  void MakeHead(Output* output);

  const Layer layer_;
  const Offloads receiver_;
  const size_t capacity_;
  size_t taken_ = 0;
  /** Outputs before this one are not to be joined any more. */
  size_t closed_before_ = 0;
  std::vector<Output> outputs_;
  std::vector<Member> members_;
  std::vector<Head> heads_;
  std::array<int32_t, kBuckets> buckets_;
};

}  // namespace linkwright
