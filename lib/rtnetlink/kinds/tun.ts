/** TUN and TAP devices as netlink shows them: IFLA_TUN_* of linux/if_link.h. */
import { enumeration } from '../../codec/enumeration.js'
import { bool, u8, u32 } from '../../codec/integers.js'
import { linkKind } from '../link-kind.js'

declare module '../link-kind.js' {
  interface LinkKinds {
    tun: typeof tun
  }
}

const readOnly = { readOnly: true } as const

export const tun = linkKind(
  'tun',
  {
    owner: [1, u32, readOnly],
    group: [2, u32, readOnly],
    type: [3, enumeration(u8, { tun: 1, tap: 2 }), readOnly],
    pi: [4, bool, readOnly],
    vnetHeader: [5, bool, readOnly],
    persist: [6, bool, readOnly],
    multiQueue: [7, bool, readOnly],
    numQueues: [8, u32, readOnly],
    numDisabledQueues: [9, u32, readOnly]
  },
  { notCreatable: 'the kernel makes TUN and TAP devices by ioctl only; use Tap.open() or Tun.open()' }
)
