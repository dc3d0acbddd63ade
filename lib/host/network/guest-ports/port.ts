/** A port as the plan finds it, and what several of its steps have in common. */
import { constants } from 'node:os'
import type { Link } from '../../../link/link.js'
import type { Netlink } from '../../../link/netlink.js'
import type { Finding } from '../../finding.js'
import type { GuestPortSettings } from '../../port/settings.js'
import { type Change, type Step, send, wayBackOf } from '../../step.js'
import type { Operation } from '../../way-back.js'

export const { EEXIST, EINVAL, ENODEV, ENOENT } = constants.errno

export interface Port {
  readonly net: Netlink
  readonly name: string
  readonly index: number
  /** As it is; `undefined` for one that the plan makes. */
  readonly link: Link | undefined
  readonly settings: GuestPortSettings
}

/** The bridge that a port is on, or comes to. */
export interface PortsBridge {
  readonly name: string
  readonly index: number
  readonly mtu: number
  /** That of new ports, 0 for none; `undefined` where it does not filter VLANs. */
  readonly defaultPvid: number | undefined
}

export interface PartOfPlan {
  readonly steps: readonly Step[]
  readonly conflicts: readonly Finding[]
}

export const NOTHING: PartOfPlan = { steps: [], conflicts: [] }

/** Sends requests, and back others: a port that is gone by then needs none of them. */
export function changing(name: string, changes: readonly Change[], back: readonly Change[]): Step {
  return {
    name,
    commands: changes.flatMap(({ command = '' }) => command.split('\n').filter(Boolean)),
    back: takingBack(back),
    apply: ({ net }) => send(net, changes)
  }
}

export const takingBack = (back: readonly Change[]): Operation[] => wayBackOf(back, { settled: [ENODEV] })
