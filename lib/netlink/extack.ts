/** What the kernel says of a request that it refused: NLMSG_ERROR with extended-ACK attributes (NLMSGERR_ATTR_*). */

import { attributes } from '../codec/attributes.js'
import { hostLittleEndian } from '../codec/endian.js'
import { enumeration } from '../codec/enumeration.js'
import { s64, u32, u64 } from '../codec/integers.js'
import { bytes, string } from '../codec/strings.js'
import { errnoName, type LinkwrightError, systemError } from '../errors.js'
import { NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_DONE, NLMSG_HEADER } from './constants.js'
import { dataView, type Message } from './framing.js'
import type { Request } from './request.js'

/** NL_POLICY_TYPE_ATTR_*: what the kernel would have taken. */
const policy = attributes({
  type: [
    1,
    enumeration(u32, {
      invalid: 0,
      flag: 1,
      u8: 2,
      u16: 3,
      u32: 4,
      u64: 5,
      s8: 6,
      s16: 7,
      s32: 8,
      s64: 9,
      binary: 10,
      string: 11,
      'NUL-terminated string': 12,
      nested: 13,
      'nested array': 14,
      bitfield32: 15,
      sint: 16,
      uint: 17
    })
  ],
  minSigned: [2, s64],
  maxSigned: [3, s64],
  minUnsigned: [4, u64],
  maxUnsigned: [5, u64],
  minLength: [6, u32],
  maxLength: [7, u32],
  bitfieldMask: [10, u32],
  mask: [12, u64]
})

const extendedAck = attributes({
  message: [1, string()],
  offset: [2, u32],
  cookie: [3, bytes()],
  policy: [4, policy],
  missingType: [5, u32],
  missingNest: [6, u32]
})

const EPERM = -1
/** What rtnetlink, generic netlink and nfnetlink want before all else; they say no more than EPERM. */
const NOT_PERMITTED = 'this takes CAP_NET_ADMIN in the user namespace that owns the network namespace'

type ExtendedAck = InstanceType<typeof extendedAck.View>

/** The extended-ACK attributes of an NLMSG_ERROR or NLMSG_DONE, if it has any. */
function extendedAckOf(message: Message): ExtendedAck | undefined {
  if (!(message.flags & NLM_F_ACK_TLVS)) return undefined
  let start = message.start + 4
  if (message.type !== NLMSG_DONE) {
    if (start + 4 > message.end) return undefined
    // The header of the request follows; all of it only when it is not capped.
    const echoed = message.data.getUint32(start, hostLittleEndian)
    start += message.flags & NLM_F_CAPPED ? NLMSG_HEADER : (echoed + 3) & ~3
  }
  return start < message.end ? extendedAck.read(message.data, start, message.end - start) : undefined
}

/** An NLMSG_ERROR or the status of an NLMSG_DONE as a plain object, for people. */
export function describeStatus(message: Message): Record<string, unknown> {
  const errno = message.end - message.start >= 4 ? message.data.getInt32(message.start, hostLittleEndian) : 0
  return { errno, ...(errno < 0 ? { code: errnoName(errno) } : {}), ...extendedAckOf(message)?.toJSON() }
}

/** What an acknowledgement says in words, for warnings on requests that succeeded. */
export function warningOf(message: Message): string | undefined {
  return extendedAckOf(message)?.message
}

/** The error of a refused request. `message` is the NLMSG_ERROR or NLMSG_DONE, where there was one. */
export function requestError(
  request: Request,
  errno: number,
  message: Message | undefined,
  item: number | undefined
): LinkwrightError {
  const ack = message && extendedAckOf(message)
  const attribute = ack && attributeOf(request, ack)
  return systemError({
    errno,
    syscall: request.verb,
    link: request.link,
    extack: ack?.message,
    path: attribute && (request.schema?.optionOf?.(attribute) ?? attribute),
    attribute,
    allowed: ack?.policy && allowedBy(ack.policy),
    diagnosis: errno === EPERM && !ack?.message ? NOT_PERMITTED : undefined,
    item
  })
}

function attributeOf(request: Request, ack: ExtendedAck): string | undefined {
  const { schema } = request
  if (!schema) return undefined
  const data = dataView(request.bytes)
  const length = data.getUint32(0, hostLittleEndian)
  const locate = (target: number) => schema.locate(data, NLMSG_HEADER, length, target)
  const { offset, missingType, missingNest } = ack
  if (missingType !== undefined) {
    const nest = missingNest === undefined ? undefined : locate(missingNest)
    const name = nest ? nest.nameOf(missingType) : schema.nameOf(missingType)
    return join([...(nest?.path ?? []), name ?? `attribute ${missingType}`])
  }
  const found = offset === undefined ? undefined : locate(offset)
  return found && join(found.path)
}

/** `linkinfo.data.macaddrs[2]` */
function join(path: string[]): string {
  return path.reduce((text, part) => (part.startsWith('[') || text === '' ? text + part : `${text}.${part}`), '')
}

function allowedBy(view: InstanceType<typeof policy.View>): string {
  const parts: string[] = []
  if (view.type !== undefined) parts.push(`a value of type ${view.type}`)
  const min = view.minSigned ?? view.minUnsigned
  const max = view.maxSigned ?? view.maxUnsigned
  if (min !== undefined || max !== undefined) parts.push(`from ${min ?? '-'} to ${max ?? '-'}`)
  if (view.minLength !== undefined) parts.push(`of at least ${view.minLength} bytes`)
  if (view.maxLength !== undefined) parts.push(`of at most ${view.maxLength} bytes`)
  const mask = view.mask ?? view.bitfieldMask
  if (mask !== undefined) parts.push(`within the mask 0x${mask.toString(16)}`)
  return parts.join(' ')
}
