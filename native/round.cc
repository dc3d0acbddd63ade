#include "round.h"

#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cerrno>

#include "abi.h"
#include "message.h"

namespace linkwright {

nlmsghdr* Round::HeaderOf(const Slot& slot) {
  // Offsets are multiples of 4 in memory from new, so the header is aligned.
  return reinterpret_cast<nlmsghdr*>(slot.exchange->requests.data() + slot.exchange->offsets[slot.index]);
}

void Round::Add(const ExchangePtr& exchange, uint32_t sequence) {
  const size_t index = exchange->sent++;
  const size_t length = exchange->LengthOf(index);
  uint8_t* message = exchange->requests.data() + exchange->offsets[index];
  if (exchanges_.empty() || exchanges_.back() != exchange) {
    exchanges_.push_back(exchange);
    parts_.push_back({message, 0});
  }
  parts_.back().iov_len += length;
  bytes_ += length;
  if (slots_.empty()) first_sequence_ = sequence;
  slots_.push_back({exchange.get(), index});
  exchange->status[index] = -ECANCELED;

  nlmsghdr* header = HeaderOf(slots_.back());
  header->nlmsg_seq = sequence;
  header->nlmsg_pid = port_id_;
  if (exchange->kind != Exchange::Kind::kDump) header->nlmsg_flags &= static_cast<uint16_t>(~NLM_F_ACK);
}

bool Round::IsBatchOfNetfilter() const {
  return protocol_ == NETLINK_NETFILTER && exchanges_.front()->kind == Exchange::Kind::kAtomic;
}

void Round::Seal() {
  last_ = slots_.size() - 1;
  if (IsBatchOfNetfilter()) {
    // Before Linux 6.10 the brackets of a transaction are never acknowledged.
    while (last_ != kNone && (HeaderOf(slots_[last_])->nlmsg_type == NFNL_MSG_BATCH_BEGIN ||
                              HeaderOf(slots_[last_])->nlmsg_type == NFNL_MSG_BATCH_END)) {
      --last_;
    }
  }
  if (last_ != kNone && slots_[last_].exchange->kind != Exchange::Kind::kDump) {
    HeaderOf(slots_[last_])->nlmsg_flags |= NLM_F_ACK;
  }
}

bool Round::Wanted() const {
  return std::any_of(exchanges_.begin(), exchanges_.end(),
                     [](const ExchangePtr& exchange) { return !exchange->given_up; });
}

void Round::Answer(size_t position, int32_t status) {
  Slot& slot = slots_[position];
  slot.answered = true;
  if (position == 0) first_status_ = status;
  if (!slot.exchange->given_up) slot.exchange->status[slot.index] = status;
}

void Round::Absorb(uint8_t* datagram, size_t length, bool truncated) {
  MessageReader message(datagram, length);
  while (message.Next()) {
    const nlmsghdr& header = message.header();
    const size_t position = header.nlmsg_seq - first_sequence_;
    if (position >= slots_.size() || header.nlmsg_type == NLMSG_NOOP) continue;
    Exchange& exchange = *slots_[position].exchange;
    if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0 && !exchange.given_up) exchange.interrupted = true;
    if (message.IsEnd()) {
      const int32_t error = message.error();
      if (!slots_[position].answered) Answer(position, error);
      if (position == last_) complete_ = true;
      // An error of the opening bracket is the whole transaction's, and may be its only answer.
      if (position == 0 && error != 0 && IsBatchOfNetfilter()) Fail(error);
      if (error == 0 && (header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) continue;
    } else if ((header.nlmsg_flags & NLM_F_MULTI) == 0) {
      slots_[position].replied = true;
    }
    if (!exchange.given_up) exchange.replies.Append(message.data(), message.length());
  }
  if (!truncated) return;

  // The kernel has dropped the rest. The header that was cut off still tells whose answer is lost.
  size_t position = kNone;
  if (message.HasCutHeader()) position = message.header().nlmsg_seq - first_sequence_;
  if (position == kNone) {
    Fail(-EMSGSIZE);
  } else if (position < slots_.size()) {
    Answer(position, -EMSGSIZE);
    if (position == last_) complete_ = true;
  }
}

void Round::Fail(int32_t status) {
  for (size_t position = 0; position < slots_.size(); ++position) {
    if (!slots_[position].answered) Answer(position, status);
  }
  complete_ = true;
}

void Round::AnswerReplied() {
  for (size_t position = 0; position < slots_.size(); ++position) {
    if (slots_[position].replied && !slots_[position].answered) Answer(position, 0);
  }
}

void Round::Silence() {
  // A transaction that holds nothing is not answered by older kernels; a malformed one by none. Without the
  // right to it nfnetlink refuses only the first message, and the FIB lookup acknowledges nothing.
  const int32_t unanswered = first_status_ != 0 ? first_status_ : -EBADMSG;
  AnswerReplied();
  Fail(last_ == kNone ? 0 : unanswered);
}

void Round::Conclude() {
  AnswerReplied();
  Fail(overrun_ ? -ENOBUFS : 0);
}

}  // namespace linkwright
