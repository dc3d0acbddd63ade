#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace linkwright {

/** Walks the messages of one datagram. */
class MessageReader {
 public:
  MessageReader(uint8_t* bytes, size_t length) : at_(bytes), left_(length) {}

  /** False at the end, or where the rest is no whole message. */
  bool Next() {
    at_ += step_;
    left_ -= step_;
    step_ = 0;
    if (left_ < sizeof(header_)) return false;
    std::memcpy(&header_, at_, sizeof(header_));
    if (header_.nlmsg_len < sizeof(header_) || header_.nlmsg_len > left_) return false;
    const size_t padded = NLMSG_ALIGN(static_cast<size_t>(header_.nlmsg_len));
    step_ = padded < left_ ? padded : left_;
    return true;
  }

  const nlmsghdr& header() const { return header_; }
  uint8_t* data() const { return at_; }
  size_t length() const { return header_.nlmsg_len; }
  /** Whether at least the header of a further message is there, which is cut off. */
  bool HasCutHeader() const { return left_ >= sizeof(header_); }

  bool IsEnd() const { return header_.nlmsg_type == NLMSG_ERROR || header_.nlmsg_type == NLMSG_DONE; }

  /** The int that NLMSG_ERROR and NLMSG_DONE begin with: 0 or a negative errno. */
  int32_t error() const {
    int32_t value = 0;
    if (length() >= sizeof(header_) + sizeof(value))
      std::memcpy(&value, at_ + sizeof(header_), sizeof(value));
    return value < 0 ? value : 0;
  }

 private:
  uint8_t* at_;
  size_t left_;
  size_t step_ = 0;
  nlmsghdr header_{};
};

}  // namespace linkwright
