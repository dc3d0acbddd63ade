#include "exchange.h"

#include <linux/netlink.h>

#include <cstdint>
#include <cstring>
#include <utility>

namespace linkwright {
namespace {

constexpr int kDumpFlags = NLM_F_REQUEST | NLM_F_DUMP;

}  // namespace

std::shared_ptr<Exchange> Exchange::Parse(const uint8_t* bytes, size_t length, Kind kind) {
  // NLMSG_ALIGN() calculates with 32 bits, and no socket takes as much.
  if (length > INT32_MAX) return nullptr;
  auto exchange = std::make_shared<Exchange>();
  exchange->kind = kind;
  // Copied before it is looked at: the caller's memory may be shared with another thread.
  exchange->requests.assign(bytes, bytes + length);
  exchange->requests.resize(NLMSG_ALIGN(length));
  for (size_t offset = 0; offset < length;) {
    nlmsghdr header;
    if (length - offset < sizeof(header)) return nullptr;
    std::memcpy(&header, exchange->requests.data() + offset, sizeof(header));
    if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > length - offset) return nullptr;
    // What is no request for a dump has no end to wait for.
    if (kind == Kind::kDump && (header.nlmsg_flags & kDumpFlags) != kDumpFlags) return nullptr;
    exchange->offsets.push_back(offset);
    offset += NLMSG_ALIGN(static_cast<size_t>(header.nlmsg_len));
  }
  if (exchange->offsets.empty()) return nullptr;
  if (kind == Kind::kDump && exchange->offsets.size() != 1) return nullptr;
  exchange->status.assign(exchange->offsets.size(), kNotSent);
  return exchange;
}

Outcome Exchange::TakeOutcome() {
  return {first_sequence, std::move(status), replies.Take(), std::move(attribute_index), interrupted};
}

}  // namespace linkwright
