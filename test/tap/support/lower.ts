/** A lower device for macvtap links, with a namespace on the other end of its wire. */
import { onTestFinished } from 'vitest'
import { createNetns } from './netns.js'
import { ip } from './system.js'

export interface Lower {
  name: string
  /** The namespace of the other end, which is `eth0` there. */
  outside: string
  /** Address of the other end. */
  address: string
}

let count = 0

export function createLower(netns?: string): Lower {
  const outside = createNetns()
  const number = count++ % 200
  const name = `lower${number}`
  const address = `198.51.100.${1 + number}`
  ip(netns, 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside)
  // With the namespace of the other end it would be gone some time later.
  if (netns === undefined) {
    onTestFinished(() => {
      ip(netns, 'link', 'delete', name)
    })
  }
  ip(netns, 'link', 'set', name, 'up')
  ip(outside, 'link', 'set', 'eth0', 'up')
  ip(outside, 'address', 'add', `${address}/24`, 'dev', 'eth0')
  return { name, outside, address }
}

/** A macvtap link by iproute2, with an ifindex of the test's choice. */
export function addMacvtap(
  name: string,
  lower: string,
  index: number,
  options: { mode?: string; netns?: string | undefined; address?: string } = {}
): void {
  const { mode = 'bridge', netns, address } = options
  const own = address ? ['address', address] : []
  ip(netns, 'link', 'add', 'link', lower, 'name', name, ...own, 'index', String(index), 'type', 'macvtap', 'mode', mode)
  ip(netns, 'link', 'set', name, 'up')
}
