/** Ids that a network namespace has for others: `struct rtgenmsg` and NETNSA_* of linux/net_namespace.h. */
import { s32, u32 } from '../codec/integers.js'
import { message } from '../codec/message.js'
import { struct } from '../codec/struct.js'
import { family } from './family.js'

export const nsidMessage = message(struct('rtgenmsg', { family }), {
  /** -1 for one that has none yet, and to let the kernel choose. */
  nsid: [1, s32],
  /** The namespace meant, by a process that lives in it. */
  pid: [2, u32, { writeOnly: true }],
  /** The namespace meant, by a descriptor. */
  fd: [3, u32, { writeOnly: true }],
  targetNsid: [4, s32, { since: '4.20' }],
  currentNsid: [5, s32, { readOnly: true, since: '4.20' }]
})
