/** Noticing that a link is gone from its namespace: deleted, or moved elsewhere. */
import { RTNLGRP_LINK } from '../netlink/constants.js'
import { Notifications } from '../netlink/notifications.js'
import type { NetnsRef } from '../netns.js'
import { linkMessage } from '../rtnetlink/link.js'
import { RTM } from '../rtnetlink/verbs.js'
import { Netlink } from './netlink.js'

/**
 * Calls `gone` once when the link is not there any more, which may be at once. It does not keep the process alive.
 * Disposing it stops it.
 */
export function watchDeletion(index: number, netns: NetnsRef | undefined, gone: () => void): Disposable {
  let stopped = false
  let notifications: Notifications | undefined
  const stop = () => {
    stopped = true
    void notifications?.close()
  }
  const tell = () => {
    if (stopped) return
    stop()
    gone()
  }
  const look = async () => {
    using net = await Netlink.open({ netns })
    net.socket.unref()
    if (!(await net.links.find(index))) tell()
  }
  // A namespace that cannot be entered is as gone as the link.
  const lookOrTell = () => look().catch(tell)
  const start = async () => {
    const opened = await Notifications.open(
      [RTNLGRP_LINK],
      {
        messages: messages => {
          for (const message of messages) {
            if (message.type !== RTM.RTM_DELLINK) continue
            const link = linkMessage.read(message.data, message.start, message.end)
            // A bridge says likewise of a port that leaves it, with its own family.
            if (link.index === index && link.family === 0) return tell()
          }
        },
        lost: () => void lookOrTell()
      },
      { netns }
    )
    opened.unref()
    notifications = opened
    if (stopped) void opened.close()
    else await look()
  }
  start().catch(tell)
  return { [Symbol.dispose]: stop }
}
