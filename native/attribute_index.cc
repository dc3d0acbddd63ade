#include "attribute_index.h"

#include <linux/netlink.h>

#include <cstring>

namespace linkwright {

void AttributeIndex::Add(const uint8_t* message, size_t length) {
  if (attributes_at_ == 0) return;
  const size_t row = rows_.size();
  rows_.resize(row + kRow);
  for (size_t at = attributes_at_; at + sizeof(nlattr) <= length;) {
    nlattr attribute;
    std::memcpy(&attribute, message + at, sizeof(attribute));
    if (attribute.nla_len < sizeof(attribute) || attribute.nla_len > length - at) return;
    const size_t type = attribute.nla_type & NLA_TYPE_MASK;
    const size_t place = (at - attributes_at_) / 4 + 1;
    // The first of several, as a walk from the beginning would find it.
    if (type < kRow && place <= UINT16_MAX && rows_[row + type] == 0) {
      rows_[row + type] = static_cast<uint16_t>(place);
    }
    at += NLA_ALIGN(static_cast<size_t>(attribute.nla_len));
  }
}

}  // namespace linkwright
