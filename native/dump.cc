#include "dump.h"

#include <cstring>

#include "abi.h"
#include "message.h"

namespace linkwright {

size_t DumpFilter::Keep(uint8_t* datagram, size_t length) {
  size_t kept = 0;
  MessageReader message(datagram, length);
  while (message.Next()) {
    const nlmsghdr& header = message.header();
    if (header.nlmsg_seq != sequence_ || header.nlmsg_type == NLMSG_NOOP || done_) continue;
    if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted_ = true;
    if (message.IsEnd()) {
      done_ = true;
      error_ = message.error();
      if (error_ == 0 && (header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) continue;
    }
    // Nearly always it stays where it is: a dump's datagrams hold nothing else.
    if (message.data() != datagram + kept) std::memmove(datagram + kept, message.data(), message.length());
    index_.Add(datagram + kept, message.length());
    kept += NLMSG_ALIGN(message.length());
  }
  return kept < length ? kept : length;
}

}  // namespace linkwright
