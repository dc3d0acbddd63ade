#pragma once

#include <linux/netlink.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "exchange.h"

namespace linkwright {

/**
 * Messages that go out by one sendmsg(), from one exchange or several.
 *
 * The kernel works through them in order before sendmsg() returns, answers errors unasked, and is asked to
 * acknowledge only one message, the last: once that is answered, every request before it without an error has
 * succeeded.
 */
class Round {
 public:
  Round(int protocol, uint32_t port_id) : protocol_(protocol), port_id_(port_id) {}

  /** Takes the next message of an exchange and completes its header. */
  void Add(const ExchangePtr& exchange, uint32_t sequence);
  /** Asks for the one acknowledgement. To be called after the last Add(). */
  void Seal();

  bool empty() const { return slots_.empty(); }
  size_t size() const { return slots_.size(); }
  size_t bytes() const { return bytes_; }
  std::vector<iovec>& parts() { return parts_; }
  const std::vector<ExchangePtr>& exchanges() const { return exchanges_; }

  /** Takes what a datagram says; what does not belong to this round is a late answer, and is dropped. */
  void Absorb(uint8_t* datagram, size_t length, bool truncated);
  /** The receive buffer overflowed: requests without an answer of their own may have failed. */
  void Overrun() { overrun_ = true; }
  bool overrun() const { return overrun_; }
  bool complete() const { return complete_; }
  /** Whether anyone still wants to know. */
  bool Wanted() const;

  /** Nothing further can come: what has no answer gets this status. */
  void Fail(int32_t status);
  /** Writes what is known to the exchanges. */
  void Conclude();
  /** The kernel has nothing more to say, although the last message has no answer. */
  void Silence();

 private:
  struct Slot {
    Exchange* exchange;
    size_t index;
    bool answered = false;
    /** Data came back, so it was carried out, whatever became of its acknowledgement. */
    bool replied = false;
  };
  static constexpr size_t kNone = static_cast<size_t>(-1);

  nlmsghdr* HeaderOf(const Slot& slot);
  bool IsBatchOfNetfilter() const;
  void Answer(size_t position, int32_t status);
  void AnswerReplied();

  int protocol_;
  uint32_t port_id_;
  uint32_t first_sequence_ = 0;
  std::vector<Slot> slots_;
  std::vector<ExchangePtr> exchanges_;
  std::vector<iovec> parts_;
  size_t bytes_ = 0;
  /** The message whose answer ends the round. */
  size_t last_ = kNone;
  /** What the first message was answered with. */
  int32_t first_status_ = 0;
  bool complete_ = false;
  bool overrun_ = false;
};

}  // namespace linkwright
