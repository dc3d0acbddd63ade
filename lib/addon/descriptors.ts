/** What the addon offers of descriptors: owners, and watching them. */

/** Descriptors with an owner: closed off the JavaScript thread when it is closed, collected, or its environment ends. */
export interface NativeDescriptors {
  /** Empty once closed or released. */
  readonly fds: number[]
  /** Closes all on an engine thread (closing a TAP may take 100 ms in the kernel). Idempotent. */
  close(): Promise<void>
  /** Closes one of them likewise; the others stay. */
  closeOne(fd: number): Promise<void>
  /** Takes over more descriptors. */
  adopt(fds: number[]): void
  /** Gives them up: the caller closes them. */
  release(): number[]
}

/** Watches a descriptor on this environment's event loop (`uv_poll`). The descriptor stays the caller's. */
export interface NativePoller {
  /** @param events 1 readable, 2 writable, 3 both, 0 none */
  poll(events: number): void
  ref(): void
  unref(): void
  /** Must be called before the descriptor is closed. Idempotent. */
  close(): void
}
