/** What nft stores beside objects for itself: rows of type, length, value (libnftnl's udata). */
import { endianness } from 'node:os'
import { invalidArgument } from '../errors.js'

const COMMENT = 0
const SET_KEY_BYTE_ORDER = 0
const SET_DATA_BYTE_ORDER = 1
const SET_COMMENT = 7
const LONGEST = 128

function entry(type: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.of(type, value.length), value])
}

function text(type: number, comment: string): Buffer {
  const bytes = Buffer.from(`${comment}\0`)
  // nft reads no more.
  if (bytes.length > LONGEST || bytes.indexOf(0) !== bytes.length - 1) {
    throw invalidArgument('comment', `text of at most ${LONGEST - 1} bytes`, comment)
  }
  return entry(type, bytes)
}

/** The comment of a table, chain, rule or element. */
export function commentData(comment: string | undefined): string | undefined {
  return comment === undefined ? undefined : text(COMMENT, comment).toString('hex')
}

/** What nft wants to know of a set to list it. */
export function setData(hostOrder: boolean, dataHostOrder?: boolean, comment?: string): string {
  const order = (host: boolean) => {
    const bytes = Buffer.alloc(4)
    bytes[endianness() === 'LE' ? 'writeUInt32LE' : 'writeUInt32BE'](host ? 1 : 2)
    return bytes
  }
  const entries = [entry(SET_KEY_BYTE_ORDER, order(hostOrder))]
  if (dataHostOrder !== undefined) entries.push(entry(SET_DATA_BYTE_ORDER, order(dataHostOrder)))
  if (comment !== undefined) entries.push(text(SET_COMMENT, comment))
  return Buffer.concat(entries).toString('hex')
}

function find(userdata: unknown, wanted: number): string | undefined {
  if (typeof userdata !== 'string') return undefined
  const bytes = Buffer.from(userdata, 'hex')
  for (let at = 0; at + 2 <= bytes.length; ) {
    const [type = 0, length = 0] = [bytes[at], bytes[at + 1]]
    if (type === wanted) {
      return bytes
        .subarray(at + 2, at + 2 + length)
        .toString('utf8')
        .replace(/\0.*$/s, '')
    }
    at += 2 + length
  }
  return undefined
}

export const commentIn = (userdata: unknown) => find(userdata, COMMENT)
export const setCommentIn = (userdata: unknown) => find(userdata, SET_COMMENT)
