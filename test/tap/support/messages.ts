/** Counts what is sent to the kernel. */
import diagnosticsChannel from 'node:diagnostics_channel'
import type { TracedMessage } from '../../../lib/index.js'

/** Types of the netlink messages that were sent while `action` ran. */
export async function sentDuring(action: () => Promise<unknown>): Promise<string[]> {
  const types: string[] = []
  const listener = (message: unknown) => {
    types.push((message as TracedMessage).type)
  }
  diagnosticsChannel.subscribe('linkwright:netlink:send', listener)
  try {
    await action()
  } finally {
    diagnosticsChannel.unsubscribe('linkwright:netlink:send', listener)
  }
  return types
}
