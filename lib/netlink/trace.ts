/**
 * Every message sent and received, for people: `NODE_DEBUG=linkwright` prints them, and the diagnostics channels
 * `linkwright:netlink:send` and `linkwright:netlink:receive` carry {@link TracedMessage} objects. Free when nobody looks.
 */
import diagnosticsChannel from 'node:diagnostics_channel'
import { debuglog, inspect } from 'node:util'
import type { Protocol } from '../rtnetlink/verbs.js'
import { NLMSG_DONE, NLMSG_ERROR } from './constants.js'
import { describeStatus } from './extack.js'
import { dataView, type Message, messagesIn } from './framing.js'

export interface TracedMessage {
  protocol: string
  /** Port id of our socket. */
  portId: number
  /** `RTM_NEWLINK`, `NLMSG_ERROR`. */
  type: string
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

export function trace(direction: 'send' | 'receive', protocol: Protocol, portId: number, bytes: Uint8Array): void {
  for (const message of messagesIn(dataView(bytes))) {
    const traced = describe(protocol, portId, message)
    channels[direction].publish(traced)
    if (log.enabled) {
      const decoded = inspect(traced.decode(), { depth: 8, breakLength: 120, compact: true })
      log(`${direction} ${traced.type} flags=0x${traced.flags.toString(16)} seq=${traced.sequence} ${decoded}`)
    }
  }
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
