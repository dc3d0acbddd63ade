/** An ifindex for a link that is to be made: the way back names the link by it before there is one. */
import { randomInt } from 'node:crypto'
import { LinkwrightError } from '../errors.js'
import type { Link } from '../link/link.js'

/** Above what the kernel counts to in practice; and a range where two processes hardly draw the same. */
const FROM = 1 << 20
const TO = 1 << 28

export function freeIndex(links: readonly Link[]): number {
  const taken = new Set(links.map(({ index }) => index))
  for (let attempt = 0; attempt < 64; attempt++) {
    const index = randomInt(FROM, TO)
    if (!taken.has(index)) return index
  }
  throw new LinkwrightError('no free ifindex was drawn', { code: 'ERR_NOT_SETTLED' })
}
