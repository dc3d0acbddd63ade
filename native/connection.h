#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "exchange.h"
#include "fd.h"
#include "result.h"
#include "round.h"
#include "worker.h"

namespace linkwright {

/**
 * A netlink socket and the exchanges that wait for it. Plain POSIX: threads of the engine run it, one at a
 * time; the JavaScript thread only queues and cancels, and never waits longer than a copy takes.
 */
class Connection {
 public:
  /** Opens a socket in the calling thread's namespace. */
  static Result<std::unique_ptr<Connection>> Open(int protocol, int receive_buffer);
  /** Takes over a connected Unix socket with somebody at the other end who plays the kernel. */
  static Result<std::unique_ptr<Connection>> Adopt(Fd fd);

  int fd() const { return fd_.get(); }
  uint32_t port_id() const { return port_id_; }
  int receive_buffer() const { return receive_buffer_; }

  /** Queues an exchange. True when the connection has to be scheduled: nobody runs it yet. */
  bool Push(ExchangePtr exchange);
  /** Runs one round. True when there is more to do, and the connection has to be scheduled again. */
  bool RunRound(Worker& worker, std::vector<ExchangePtr>& finished);
  /** Gives an exchange up and takes what is known of it so far. */
  Outcome Cancel(Exchange& exchange);
  /** Takes back that Push() said it has to be scheduled: there was no thread for it. */
  void Unschedule();
  /** Nothing is sent any more, and nothing waited for. The descriptor stays until the last owner lets go. */
  void Close();

 private:
  /** The kernel answers before sendmsg() returns, and goes on with a dump inside recvmsg(): nothing read is
   * nothing more to come. Only the other kind is waited for. */
  enum class Peer { kKernel, kUnixSocket };
  enum class Waiting { kReadable, kGivenUp, kTimeout, kHungUp };

  Connection(Fd fd, Peer peer, int protocol, uint32_t port_id);

  void SetPace(size_t messages, std::chrono::steady_clock::duration duration);
  Round TakeRound();
  int32_t Send(Round& round);
  void Converse(Round& round, Worker& worker);
  void Dump(Round& round, Worker& worker);
  /** One attempt at a dump: 0 or a negative errno. */
  int32_t ReadDump(Exchange& exchange, const Round& round, Worker& worker);
  /** Reads away what is there for nobody. */
  void Discard(Worker& worker);
  bool IsFromPeer(const void* address, size_t length) const;
  Waiting Wait(const Round& round, Worker& worker, int timeout, bool until_given_up);

  const Fd fd_;
  const Peer peer_;
  const int protocol_;
  const uint32_t port_id_;
  int receive_buffer_ = 0;
  /** Most messages of a round: the answer to each takes its share of the receive buffer. Halved by an
   * overrun. */
  size_t window_ = 0;
  /** Messages that the kernel is expected to need kRoundTime for, judged by the last round. */
  size_t pace_ = 32;
  size_t send_limit_ = 0;

  std::mutex mutex_;
  std::deque<ExchangePtr> queue_;
  uint32_t next_sequence_ = 1;
  bool scheduled_ = false;
  bool closed_ = false;
  /** Of the thread that waits for an answer right now. */
  Wakeup* waiting_ = nullptr;
};

}  // namespace linkwright
