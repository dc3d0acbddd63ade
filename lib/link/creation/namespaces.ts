/** The namespaces that the links of a chunk are made in, each opened once. */
import { fstatSync } from 'node:fs'
import { type NetnsRef, type OpenNetns, openNetns } from '../../netns.js'

export interface OpenedNamespace {
  readonly fd: number
  readonly inode: bigint
}

export class Namespaces implements Disposable {
  readonly #opened = new Map<NetnsRef, OpenedNamespace & { netns: OpenNetns }>()

  /** Open until the chunk is finished. */
  open(ref: NetnsRef): OpenedNamespace {
    let opened = this.#opened.get(ref)
    if (!opened) {
      const netns = openNetns(ref)
      opened = { netns, fd: netns.fd, inode: fstatSync(netns.fd, { bigint: true }).ino }
      this.#opened.set(ref, opened)
    }
    return opened
  }

  [Symbol.dispose](): void {
    for (const { netns } of this.#opened.values()) netns.close()
  }
}
