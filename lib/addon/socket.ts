/** What the addon offers of netlink sockets. */

/** What a batch of requests came back with. */
export interface Exchange {
  /** Sequence number of the first request; request `i` was sent with `firstSequence + i` (modulo 2^32). */
  firstSequence: number
  /** Per request: 0, a negative errno, or {@link NOT_SENT}. */
  status: Int32Array
  /**
   * Whole netlink messages, back to back, each padded to 4 bytes: data and echo replies, error messages, and
   * acknowledgements that carry extended-ACK attributes. Plain acknowledgements and the end of a dump are left out, unless
   * that NLMSG_DONE carries an error or extended-ACK attributes. No message crosses two buffers.
   */
  replies: ArrayBuffer[]
  /** A dump only: the kernel flagged it as inconsistent (NLM_F_DUMP_INTR). */
  interrupted: boolean
  /** A dump that was asked for an index only: a row a message, as `INDEX_ROW` says. */
  index?: Uint16Array
}

/** Status of a request that never left this process, because its exchange was cancelled or failed first. */
export const NOT_SENT = 1

export interface PendingExchange {
  id: number
  result: Promise<Exchange>
}

/** A netlink socket for requests. The kernel is spoken to on the engine's threads, one exchange at a time per socket. */
export interface NativeNetlinkSocket {
  /** Address that the kernel gave to the socket (`nl_pid`). */
  readonly portId: number
  /** Capacity of the receive buffer in bytes, as the kernel accounts it (SO_RCVBUF). */
  readonly receiveBuffer: number
  /**
   * Sends whole requests laid back to back (each padded to 4 bytes) and collects all answers. The sequence numbers, port
   * id and NLM_F_ACK are filled in by the engine. Requests that wait for the same socket share `sendmsg` calls.
   * Only the last message of a round is acknowledged, so a warning (extended-ACK attributes of a success) is only kept
   * for that one. Requests for a dump are not supported here: they are for `dump`. What the kernel leaves without any
   * answer has -EBADMSG as its status; after a loss (-ENOBUFS) the socket sends less at once, so asking again helps.
   *
   * @param atomic all in one `sendmsg`, never split nor joined with others (an nf_tables transaction)
   * @param keepAlive whether the pending exchange keeps the process alive
   */
  exchange(requests: Uint8Array, atomic: boolean, keepAlive: boolean): PendingExchange
  /**
   * Sends one request with NLM_F_REQUEST and NLM_F_DUMP set by the caller (refused without), and collects until
   * NLMSG_DONE; its error is in `status[0]`, -EBADMSG where the kernel falls silent before that.
   *
   * @param attributesAt where the attributes of each message begin, for an index of them; 0 for none
   */
  dump(request: Uint8Array, keepAlive: boolean, attributesAt: number): PendingExchange
  /**
   * Gives an exchange up: what was not sent stays unsent, what was sent is answered by the kernel and dropped. Its promise
   * resolves at once with what is known so far (unsent: NOT_SENT; sent and not yet answered: -ECANCELED).
   */
  cancel(id: number): void
  /** Idempotent. Pending exchanges are cancelled; the descriptor is closed when the engine has let go of it. */
  close(): void
}
