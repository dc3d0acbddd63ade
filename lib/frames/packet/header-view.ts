/** What the views of headers have in common. */

const NOWHERE = new Uint8Array(0)

/**
 * A view of a header in the memory of a frame. It is made once and set on one frame after the other by its `at()`, which
 * says whether there is such a header and allocates nothing. Nothing outside the frame is ever read or written: without
 * a header all fields read 0 (addresses as text: empty), and setting them does nothing.
 *
 * Addresses have two faces: text for people, and numbers for loops over millions of frames. Where even the short-lived
 * object is too much that V8 may make of a number above 2^31, there are `isFrom()` and `isTo()`.
 */
export abstract class HeaderView {
  /** The memory that the frame lies in. */
  bytes: Uint8Array = NOWHERE
  /** Where the header begins in it. */
  offset = 0
  /** Where its payload begins. */
  payloadOffset = 0
  /** Where its payload ends, as far as it is there. */
  end = 0

  /** Bytes of the payload, as far as they are there. */
  get payloadLength(): number {
    return this.end - this.payloadOffset
  }

  /** A view of the payload, which is a new object. */
  payload(): Uint8Array {
    return this.bytes.subarray(this.payloadOffset, this.end)
  }

  /** @internal */
  protected place(bytes: Uint8Array, offset: number, payloadOffset: number, end: number): true {
    this.bytes = bytes
    this.offset = offset
    this.payloadOffset = payloadOffset
    this.end = end
    return true
  }

  /** There is no such header. @internal */
  protected miss(): false {
    this.bytes = NOWHERE
    this.offset = 0
    this.payloadOffset = 0
    this.end = 0
    return false
  }
}
