/** Waiting for a link to be as wanted, driven by RTNLGRP_LINK. */

import { addon } from '../addon.js'
import { Cancellation } from '../netlink/cancellation.js'
import { RTNLGRP_LINK } from '../netlink/constants.js'
import { Notifications } from '../netlink/notifications.js'
import type { NetlinkSocket } from '../netlink/socket.js'
import type { NetnsRef } from '../netns.js'
import type { Link } from './link.js'

export interface WaitOptions {
  signal?: AbortSignal | undefined
  /** Milliseconds; waits for ever if left out. */
  timeout?: number | undefined
}

/** Looks at the link once, and again after every announcement about links. */
export async function waitForLink(
  look: () => Promise<Link | undefined>,
  condition: (link: Link | undefined) => boolean,
  netns: NetnsRef | undefined,
  socket: NetlinkSocket,
  options: WaitOptions
): Promise<Link | undefined> {
  const cancel = new Cancellation(options)
  cancel.throwIfGivenUp()
  let changed: (() => void) | undefined
  let pending = false
  const wake = () => {
    pending = true
    changed?.()
  }
  const unwatch = cancel.watch(wake)
  let notifications: Notifications | undefined
  try {
    notifications = await listen(netns, socket, wake)
    for (;;) {
      cancel.throwIfGivenUp()
      pending = false
      const link = await look()
      if (condition(link)) return link
      while (!pending) {
        await new Promise<void>(resolve => {
          changed = resolve
        })
      }
    }
  } finally {
    unwatch()
    await notifications?.close()
  }
}

/** Listens where the socket speaks, also in a namespace whose name or descriptor is gone by now. */
async function listen(netns: NetnsRef | undefined, socket: NetlinkSocket, wake: () => void): Promise<Notifications> {
  const handlers = { messages: wake, lost: wake }
  if (netns === undefined) return Notifications.open([RTNLGRP_LINK], handlers)
  const own = await addon().openNetns(socket.native)
  try {
    return await Notifications.open([RTNLGRP_LINK], handlers, { netns: { fd: own.fds[0] as number } })
  } finally {
    await own.close()
  }
}
