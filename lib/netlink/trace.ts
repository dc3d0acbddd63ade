/**
 * Every message sent and received, for people: `NODE_DEBUG=linkwright` prints them, and the diagnostics channels
 * `linkwright:netlink:send` and `linkwright:netlink:receive` carry {@link TracedMessage} objects. Free when nobody looks.
 *
 * What was sent is told when it has been answered or given up, right before the answers: only then is it known whether it
 * went out, and under which sequence number.
 */
import diagnosticsChannel from 'node:diagnostics_channel'
import { debuglog, inspect } from 'node:util'
import { type Exchange, NOT_SENT } from '../addon.js'
import { hostLittleEndian } from '../codec/endian.js'
import { NLMSG_DONE, NLMSG_ERROR } from './constants.js'
import { describeStatus } from './extack.js'
import { dataView, type Message, messagesIn } from './framing.js'
import type { Protocol } from './protocol.js'

export interface TracedMessage {
  protocol: string
  /** Port id of our socket. */
  portId: number
  /** `RTM_NEWLINK`, `NLMSG_ERROR`. */
  type: string
  /** As they were asked for: NLM_F_ACK, which the engine sets in the last message of each `sendmsg`, is not told. */
  flags: number
  sequence: number
  /** The whole message. */
  bytes: Uint8Array
  /** Its decoded payload; decoded when asked for. */
  decode(): Record<string, unknown> | undefined
}

const log = debuglog('linkwright')
const channels = {
  send: diagnosticsChannel.channel('linkwright:netlink:send'),
  receive: diagnosticsChannel.channel('linkwright:netlink:receive')
}

/** Whether anybody looks. */
export function tracing(): boolean {
  return log.enabled || channels.send.hasSubscribers || channels.receive.hasSubscribers
}

/** An exchange that is over: its requests, which are completed in place, then what came back. */
export function traceExchange(protocol: Protocol, portId: number, requests: Uint8Array, exchange: Exchange): void {
  const data = dataView(requests)
  for (const [item, message] of messagesIn(data).entries()) {
    if (exchange.status[item] === NOT_SENT) continue
    // As the engine does in its own copy.
    message.sequence = (exchange.firstSequence + item) >>> 0
    data.setUint32(message.offset + 8, message.sequence, hostLittleEndian)
    data.setUint32(message.offset + 12, portId, hostLittleEndian)
    publish('send', describe(protocol, portId, message))
  }
  for (const buffer of exchange.replies) traceReceived(protocol, portId, new Uint8Array(buffer))
}

export function traceReceived(protocol: Protocol, portId: number, bytes: Uint8Array): void {
  for (const message of messagesIn(dataView(bytes))) publish('receive', describe(protocol, portId, message))
}

function publish(direction: 'send' | 'receive', traced: TracedMessage): void {
  channels[direction].publish(traced)
  if (!log.enabled) return
  const decoded = inspect(traced.decode(), { depth: 8, breakLength: 120, compact: true })
  log(`${direction} ${traced.type} flags=0x${traced.flags.toString(16)} seq=${traced.sequence} ${decoded}`)
}

function describe(protocol: Protocol, portId: number, message: Message): TracedMessage {
  const { data, offset, start, end, type } = message
  return {
    protocol: protocol.name,
    portId,
    type: type === NLMSG_ERROR ? 'NLMSG_ERROR' : type === NLMSG_DONE ? 'NLMSG_DONE' : protocol.verbOf(type),
    flags: message.flags,
    sequence: message.sequence,
    bytes: new Uint8Array(data.buffer, data.byteOffset + offset, end - offset),
    decode: () =>
      type === NLMSG_ERROR || type === NLMSG_DONE
        ? describeStatus(message)
        : protocol.schemaOf(type)?.read(data, start, end).toJSON()
  }
}
