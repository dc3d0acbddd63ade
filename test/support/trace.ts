/** What goes over the netlink sockets while something runs, as `diagnostics_channel` tells. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { TracedMessage } from '../../lib/index.js'

export interface Traffic<T> {
  result: T
  sent: TracedMessage[]
  received: TracedMessage[]
  /** Both, in order. */
  events: { direction: 'send' | 'receive'; message: TracedMessage }[]
}

/** Runs `action` and counts. A rejection is returned as the result. */
export async function traffic<T>(action: () => Promise<T>): Promise<Traffic<T | Error>> {
  const events: Traffic<T>['events'] = []
  const onSend = (message: unknown) => events.push({ direction: 'send', message: message as TracedMessage })
  const onReceive = (message: unknown) => events.push({ direction: 'receive', message: message as TracedMessage })
  subscribe('linkwright:netlink:send', onSend)
  subscribe('linkwright:netlink:receive', onReceive)
  try {
    const result = await action().catch((error: Error) => error)
    const those = (wanted: string) =>
      events.filter(({ direction }) => direction === wanted).map(({ message }) => message)
    return { result, sent: those('send'), received: those('receive'), events }
  } finally {
    unsubscribe('linkwright:netlink:send', onSend)
    unsubscribe('linkwright:netlink:receive', onReceive)
  }
}

export const NLM_F_DUMP = 0x300

/** Whether a request asks for a whole table. */
export const isDump = (message: TracedMessage) => (message.flags & NLM_F_DUMP) === NLM_F_DUMP
