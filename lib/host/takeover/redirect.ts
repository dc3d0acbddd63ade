/**
 * Leads what the NIC receives for the host into the bridge by another port, for a moment. A bridge drops what comes by a
 * port whose state is still, or already, `disabled` (br_handle_frame in net/bridge/br_input.c): from the registration of
 * its handler until br_stp_enable_port, and from br_stp_disable_port until the handler is gone. A chain of nf_tables at the
 * ingress of the NIC has frames before that handler. (So has a filter of tc, but the kernel drops what is being sent while
 * it puts an ingress qdisc into its place: qdisc_graft.)
 */
import { constants } from 'node:os'
import type { Netlink } from '../../link/netlink.js'
import { NLM_F_APPEND, NLM_F_CREATE } from '../../netlink/constants.js'
import { encodeRequest, type Request } from '../../netlink/request.js'
import { NetlinkSocket } from '../../netlink/socket.js'
import { batchMessage } from '../../nftables/batch.js'
import { chainMessage } from '../../nftables/chain.js'
import { NFNL_MSG, NFNL_SUBSYS_NFTABLES, netfilter, nftType } from '../../nftables/messages.js'
import { ruleMessage } from '../../nftables/rule.js'
import { tableMessage } from '../../nftables/table.js'
import type { Operation } from '../way-back.js'
import type { Target } from './addresses.js'

/** The engine asks for an answer by itself, the guard does not. */
const NLM_F_ACK = 4
/** After the chains of others, which may drop. */
const PRIORITY = 0x7fffffff
/** PACKET_HOST, in this machine's byte order. */
const HOST = '00000000'
/** NFT_REG_1 */
const REGISTER = 1
/**
 * What is redirected. Not ARP: its answers go to the link that asked. Nor frames with VLAN tags, which are for links on the
 * NIC.
 */
const ETHER_TYPES = ['0800', '86dd']

const netdev = { family: 'netdev' } as const

export interface Redirect {
  readonly nic: Target
  /** The peer of a port of the bridge. */
  readonly into: Target
  /** Of the bridge. */
  readonly address: string
}

const nameOf = ({ into }: Redirect): string => `linkwright-${into.name}`

export function redirectCommands(redirect: Redirect): { on: string; off: string } {
  const { nic, into, address } = redirect
  const rule = `ether type { ip, ip6 } meta pkttype host ether daddr set ${address} fwd to ${into.name}`
  const chain = `type filter hook ingress device ${nic.name} priority ${PRIORITY}`
  const on = `nft 'add table netdev ${nameOf(redirect)} { chain ingress { ${chain}; ${rule}; } }'`
  return { on, off: `nft delete table netdev ${nameOf(redirect)}` }
}

function turnOn(redirect: Redirect): Request[] {
  const { nic } = redirect
  const table = nameOf(redirect)
  const hook = { hooknum: 0, priority: PRIORITY, dev: nic.name }
  const chain = { ...netdev, table, name: 'ingress', type: 'filter', hook, policy: 'accept' }
  return [
    request('NFT_MSG_NEWTABLE', tableMessage, { ...netdev, name: table }, NLM_F_CREATE),
    request('NFT_MSG_NEWCHAIN', chainMessage, chain, NLM_F_CREATE),
    ...ETHER_TYPES.map(etherType => {
      const rule = { ...netdev, table, chain: 'ingress', expressions: expressionsOf(redirect, etherType) }
      return request('NFT_MSG_NEWRULE', ruleMessage, rule, NLM_F_CREATE | NLM_F_APPEND)
    })
  ]
}

function turnOff(redirect: Redirect): Request[] {
  return [request('NFT_MSG_DELTABLE', tableMessage, { ...netdev, name: nameOf(redirect) }, 0)]
}

function expressionsOf({ into, address }: Redirect, etherType: string) {
  const dev = Buffer.from(Int32Array.of(into.index).buffer).toString('hex')
  const link = { base: 'll', csumType: 'none', csumOffset: 0, csumFlags: {} }
  const load = (value: string) => ({ name: 'immediate', data: { dreg: REGISTER, data: { value } } })
  const is = (value: string) => ({ name: 'cmp', data: { sreg: REGISTER, op: 'eq', data: { value } } })
  return [
    { name: 'payload', data: { dreg: REGISTER, base: 'll', offset: 12, len: 2 } },
    is(etherType),
    { name: 'meta', data: { key: 'pkttype', dreg: REGISTER } },
    is(HOST),
    load(address.replaceAll(':', '')),
    { name: 'payload', data: { sreg: REGISTER, ...link, offset: 0, len: 6 } },
    load(dev),
    // NFTA_FWD_SREG_DEV: one be32 behind its header, which is in this machine's byte order.
    { name: 'fwd', data: Buffer.concat([Buffer.from(Uint16Array.of(8, 1).buffer), Buffer.from([0, 0, 0, REGISTER])]) }
  ]
}

// biome-ignore lint/suspicious/noExplicitAny: of whatever message
function request(verb: Parameters<typeof nftType>[0], schema: any, value: object, flags: number): Request {
  return encodeRequest(verb, nftType(verb), schema, value, { flags })
}

function transaction(requests: readonly Request[]): Request[] {
  const bracket = (verb: keyof typeof NFNL_MSG) =>
    encodeRequest(verb, NFNL_MSG[verb], batchMessage, { resId: NFNL_SUBSYS_NFTABLES })
  return [bracket('NFNL_MSG_BATCH_BEGIN'), ...requests, bracket('NFNL_MSG_BATCH_END')]
}

/** Whether the kernel has nf_tables at all; what its chains can do shows when they are made. */
export async function canRedirect(net: Netlink): Promise<boolean> {
  try {
    ;(await openNetfilter(net)).close()
    return true
  } catch {
    return false
  }
}

async function openNetfilter(net: Netlink): Promise<NetlinkSocket> {
  const netns = await net.openNetns()
  try {
    return await NetlinkSocket.open({ protocol: netfilter, netns: { fd: netns.fds[0] as number } })
  } finally {
    await netns.close()
  }
}

/** Redirects while something is done. @param failed told why it is not redirected */
export async function redirecting<T>(
  net: Netlink,
  redirect: Redirect,
  work: () => Promise<T>,
  failed: (error: unknown) => void
): Promise<T> {
  const socket = await openNetfilter(net)
  const send = async (requests: readonly Request[]) => {
    const results = await socket.batch(transaction(requests), { atomic: true })
    const error = results.find(result => result.error !== undefined)?.error
    if (error !== undefined) throw error
  }
  try {
    const on = await send(turnOn(redirect)).then(
      () => true,
      error => {
        failed(error)
        return false
      }
    )
    try {
      return await work()
    } finally {
      if (on) await send(turnOff(redirect))
    }
  } finally {
    socket.close()
  }
}

/** The same around a part of the way back. */
export function withRedirect(redirect: Redirect, work: readonly Operation[]): Operation[] {
  const { on, off } = redirectCommands(redirect)
  const operation = (requests: readonly Request[], command: string, more: Partial<Operation>): Operation => {
    const batch = transaction(requests).map(({ bytes }) => Buffer.from(bytes))
    const last = batch.at(-2) as Buffer
    last.set(Buffer.from(Uint16Array.of(flagsOf(last) | NLM_F_ACK).buffer), 6)
    return {
      op: 'netlink',
      protocol: netfilter.number,
      atomic: true,
      requests: Buffer.concat(batch),
      command,
      ...more
    } as Operation
  }
  return [
    operation(turnOn(redirect), on, { bestEffort: true }),
    ...work,
    operation(turnOff(redirect), off, { settled: [constants.errno.ENOENT] })
  ]
}

const flagsOf = (bytes: Buffer): number => new Uint16Array(Uint8Array.from(bytes.subarray(6, 8)).buffer)[0] ?? 0
