/** Whatever carries the bytes: our descriptor socket, or (by path) a plain one. */
export interface QmpTransport extends AsyncIterable<Uint8Array> {
  /** With descriptors beside the bytes, if it can send them. */
  write(data: string, fds?: number[]): unknown
  close?(): unknown
}

export interface QmpEvent {
  event: string
  // biome-ignore lint/suspicious/noExplicitAny: QEMU's own shapes
  data?: any
  timestamp: { seconds: number; microseconds: number }
}

export class QmpError extends Error {
  /** QEMU's class of error: `GenericError`, `DeviceNotFound`, ... */
  code: string
}

export class Qmp implements AsyncDisposable {
  /** Connects (given a path) and negotiates. */
  static open(target: string | QmpTransport): Promise<Qmp>
  // biome-ignore lint/suspicious/noExplicitAny: QEMU's own shapes
  execute(command: string, args?: object, options?: { fds?: number[] | undefined }): Promise<any>
  /** The next event of that name which `matches`. Ask before doing what causes it. */
  // biome-ignore lint/suspicious/noExplicitAny: QEMU's own shapes
  event(name: string, options?: { matches?: (data: any) => boolean; timeout?: number }): Promise<QmpEvent>
  /** @returns what takes the listener away */
  onEvent(listener: (event: QmpEvent) => void): () => void
  close(): void
  [Symbol.asyncDispose](): Promise<void>
}
