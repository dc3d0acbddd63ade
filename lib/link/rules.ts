/** Verbs over policy rules: which routing table is asked for which packets. */
import type { InOf } from '../codec/codec.js'
import { invalidArgument, LinkwrightError } from '../errors.js'
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_ECHO, NLM_F_EXCL } from '../netlink/constants.js'
import type { Message } from '../netlink/framing.js'
import { encodeRequest } from '../netlink/request.js'
import type { CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { checkKeys } from '../options.js'
import type { IpFamily } from '../rtnetlink/family.js'
import type { routeProtocol } from '../rtnetlink/route.js'
import { type ruleAction, ruleMessage } from '../rtnetlink/rule.js'
import { RTM } from '../rtnetlink/verbs.js'
import { parsePrefix } from './ip-prefix.js'
import { withOptions } from './option-paths.js'

const schema = withOptions(ruleMessage, {
  dst: 'to',
  src: 'from',
  iifname: 'iif',
  oifname: 'oif',
  shortTable: 'table',
  sportRange: 'sport',
  dportRange: 'dport'
})
const MAIN = 254

/**
 * A rule as it was when it was asked for.
 *
 * To add or delete it: `from`, `to` and `invert` as they are here, `{ table: it.tableId, iif: it.iifname, oif: it.oifname,
 * sport: it.sportRange, dport: it.dportRange }`, and the others by their names. `toJSON()` is the kernel's view, which
 * `add()` does not take.
 */
export class PolicyRule extends ruleMessage.View {
  constructor(message: Message) {
    super(message.data, message.start, message.end)
  }

  /** `192.0.2.0/24` or `all`. */
  get from(): string {
    return this.srcLength === 0 ? 'all' : `${this.src}/${this.srcLength}`
  }

  /** `192.0.2.0/24` or `all`. */
  get to(): string {
    return this.dstLength === 0 ? 'all' : `${this.dst}/${this.dstLength}`
  }

  /** Whether it takes what does not match. */
  get invert(): boolean {
    return this.flags.invert
  }

  /** The table, also when its number is above 255. */
  get tableId(): number {
    return this.table ?? this.shortTable
  }
}

type Ports = number | { start: number; end: number }

export interface AddRule {
  /** `inet` by default, unless an address says otherwise. */
  family?: IpFamily | undefined
  /** The source prefix; `all` by default. */
  from?: string | undefined
  /** The destination prefix; `all` by default. */
  to?: string | undefined
  /** Takes what does not match. */
  invert?: boolean | undefined
  /** Rules are asked from 0 on; the kernel puts one without before all others but the first. */
  priority?: number | undefined
  /** 254 (main) by default. */
  table?: number | undefined
  /** What becomes of what matches: `table` by default, `goto` with `goto`. */
  action?: InOf<typeof ruleAction> | undefined
  /** The priority of the rule to go on with. */
  goto?: number | undefined
  /** The name of the link that it came in by; it need not exist yet. */
  iif?: string | undefined
  /** The name of the link that the sender is bound to. */
  oif?: string | undefined
  /** The table is that of the VRF of the link. */
  l3mdev?: boolean | undefined
  fwmark?: number | undefined
  /** Which bits of the mark; all by default. */
  fwmask?: number | undefined
  tos?: number | undefined
  dscp?: number | undefined
  dscpMask?: number | undefined
  /** IPv6. */
  flowlabel?: number | undefined
  flowlabelMask?: number | undefined
  /** Who has the socket. */
  uidRange?: { start: number; end: number } | undefined
  /** 6 for TCP, 17 for UDP. */
  ipProto?: number | undefined
  sport?: Ports | undefined
  sportMask?: number | undefined
  dport?: Ports | undefined
  dportMask?: number | undefined
  tunId?: number | bigint | undefined
  /** Takes no route by a link of this group. */
  suppressIfgroup?: number | undefined
  /** Takes no route of a prefix of this length or less. */
  suppressPrefixlen?: number | undefined
  /** A realm. */
  flow?: number | undefined
  /** Who added it. */
  protocol?: InOf<typeof routeProtocol> | undefined
}

const KEYS: ReadonlySet<string> = new Set<keyof AddRule>([
  ...(['family', 'from', 'to', 'invert', 'priority', 'table', 'action', 'goto', 'iif', 'oif', 'l3mdev'] as const),
  ...(['fwmark', 'fwmask', 'tos', 'dscp', 'dscpMask', 'flowlabel', 'flowlabelMask', 'uidRange', 'ipProto'] as const),
  ...(['sport', 'sportMask', 'dport', 'dportMask', 'tunId', 'suppressIfgroup', 'suppressPrefixlen', 'flow'] as const),
  'protocol'
])
const FILTER_KEYS: ReadonlySet<string> = new Set(['family', 'signal', 'timeout'])

export class Rules {
  readonly #socket: NetlinkSocket

  /** @internal */
  constructor(socket: NetlinkSocket) {
    this.#socket = socket
  }

  /** Adds a rule, and gives it as the kernel has it, with its priority; `EEXIST` if there is the same. */
  async add(options: AddRule, callOptions?: CallOptions): Promise<PolicyRule> {
    checkKeys(options, KEYS)
    const request = this.#encode('RTM_NEWRULE', NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO, ruleAttributes(options, false))
    const replies = await this.#socket.request(request, callOptions)
    const reply = replies.find(message => message.type === RTM.RTM_NEWRULE)
    if (!reply) throw new LinkwrightError('no echo of RTM_NEWRULE', { code: 'ERR_UNEXPECTED_REPLY' })
    return new PolicyRule(reply)
  }

  /** Removes the first rule that has all of what is given; `ENOENT` if none does. */
  async delete(options: AddRule, callOptions?: CallOptions): Promise<void> {
    checkKeys(options, KEYS)
    // The kernel would take the first rule of all, that of the local table.
    if (!Object.entries(options).some(tells))
      throw invalidArgument('priority', 'something that tells the rule', undefined)
    await this.#socket.request(this.#encode('RTM_DELRULE', 0, ruleAttributes(options, true)), callOptions)
  }

  /** The rules in the order in which they are asked, those of IPv4 first. */
  async list(filter: { family?: IpFamily | undefined } & CallOptions = {}): Promise<PolicyRule[]> {
    checkKeys(filter, FILTER_KEYS)
    const { family = 'unspec' } = filter
    const replies = await this.#socket.dump(this.#encode('RTM_GETRULE', NLM_F_DUMP, { family }), filter)
    const rules = replies.map(reply => new PolicyRule(reply))
    // There are also those of multicast routing.
    return (['inet', 'inet6'] as const).flatMap(each =>
      rules.filter(rule => rule.family === each && (family === 'unspec' || each === family))
    )
  }

  #encode(verb: 'RTM_NEWRULE' | 'RTM_DELRULE' | 'RTM_GETRULE', flags: number, value: object) {
    return encodeRequest(verb, RTM[verb], schema, value, { flags })
  }
}

function ruleAttributes(options: AddRule, deleting: boolean): object {
  const { from, to, invert, iif, oif, sport, dport, l3mdev, family: asked, ...same } = options
  const source = prefixOf(from, 'from')
  const destination = prefixOf(to, 'to')
  const family = source?.family ?? destination?.family ?? asked ?? 'inet'
  for (const other of [destination?.family, asked]) {
    if (other && other !== family) throw invalidArgument('family', `that of the addresses (${family})`, other)
  }
  const action = options.action ?? (options.goto !== undefined ? 'goto' : deleting ? undefined : 'table')
  const main = action === 'table' && !l3mdev && !deleting ? MAIN : undefined
  const { table = main } = options
  const isShort = table === undefined || (table >= 0 && table < 256)
  return {
    ...same,
    family,
    srcLength: source?.length ?? 0,
    src: source?.length ? source.address : undefined,
    dstLength: destination?.length ?? 0,
    dst: destination?.length ? destination.address : undefined,
    action,
    flags: invert === undefined ? undefined : { invert },
    shortTable: isShort ? table : 0,
    table: isShort ? undefined : table,
    iifname: iif,
    oifname: oif,
    l3mdev: l3mdev === undefined ? undefined : Number(l3mdev),
    sportRange: rangeOf(sport),
    dportRange: rangeOf(dport)
  }
}

/** Whether the kernel compares it with what a rule has: a zero it takes for nothing, mostly. */
function tells([key, value]: [string, unknown]): boolean {
  if (key === 'family') return false
  if (key === 'from' || key === 'to') return Boolean(prefixOf(value as string | undefined, key)?.length)
  if (key === 'action') return value !== undefined && value !== 'table' && value !== 'unspec'
  return Boolean(value) || (value === 0 && (key === 'priority' || key.startsWith('suppress')))
}

function prefixOf(text: string | undefined, path: string) {
  return text === undefined || text === 'all' ? undefined : parsePrefix(text, path)
}

function rangeOf(ports: Ports | undefined) {
  return typeof ports === 'number' ? { start: ports, end: ports } : ports
}
