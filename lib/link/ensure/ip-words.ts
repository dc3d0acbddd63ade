/** Attributes in the words of iproute2's `ip link`. `undefined` where it has none. */
import type { Wish } from './wishes.js'

type Words = (value: unknown) => readonly string[] | undefined

const text = (value: unknown): string => (typeof value === 'boolean' ? (value ? '1' : '0') : String(value))
const word =
  (name: string): Words =>
  value => [name, text(value)]
const onOff =
  (name: string): Words =>
  value => [name, value ? 'on' : 'off']
/** `proxy`, `noproxy` */
const bare =
  (name: string): Words =>
  value => [value ? name : `no${name}`]
const none: Words = () => undefined

const link: Record<string, Words> = {
  address: word('address'),
  broadcast: word('broadcast'),
  mtu: word('mtu'),
  txqlen: word('txqueuelen'),
  alias: word('alias'),
  group: word('group'),
  index: word('index'),
  linkmode: value => (value === 'testing' ? undefined : ['mode', text(value)]),
  carrier: onOff('carrier'),
  protoDown: onOff('protodown'),
  gsoMaxSize: word('gso_max_size'),
  gsoMaxSegs: word('gso_max_segs'),
  groMaxSize: word('gro_max_size'),
  gsoIpv4MaxSize: word('gso_ipv4_max_size'),
  groIpv4MaxSize: word('gro_ipv4_max_size'),
  numTxQueues: word('numtxqueues'),
  numRxQueues: word('numrxqueues'),
  up: value => [value ? 'up' : 'down'],
  noarp: value => ['arp', value ? 'off' : 'on'],
  promisc: onOff('promisc'),
  allmulti: onOff('allmulticast'),
  multicast: onOff('multicast'),
  dynamic: onOff('dynamic'),
  afSpec: value => {
    const { inet6 = {} } = value as { inet6?: Record<string, unknown> }
    const { addrGenMode, ...others } = inet6
    if (addrGenMode === undefined || Object.keys(others).length > 0) return undefined
    return ['addrgenmode', addrGenMode === 'stablePrivacy' ? 'stable_secret' : text(addrGenMode)]
  }
}

const MULTICAST_ROUTER = ['disabled', 'tempQuery', 'permanent', 'temporary']
const multicastRouter: Words = value => ['mcast_router', text(MULTICAST_ROUTER.indexOf(value as string))]

const bits =
  (names: Record<string, (on: boolean) => readonly string[] | undefined>): Words =>
  value => {
    const words = Object.entries(value as Record<string, boolean>).map(([name, on]) => names[name]?.(on))
    return words.every(each => each !== undefined) ? words.flat() : undefined
  }

const bridge: Record<string, Words> = {
  stp: word('stp_state'),
  mcastLastMemberCount: word('mcast_last_member_count'),
  mcastRouter: multicastRouter,
  boolopt: bits({
    noLinkLocalLearn: on => ['no_linklocal_learn', text(on)],
    mcastVlanSnooping: on => ['mcast_vlan_snooping', text(on)],
    mstEnable: on => ['mst_enabled', text(on)],
    fdbLocalVlan0: on => ['fdb_local_vlan_0', text(on)]
  }),
  stpMode: word('stp_mode')
}

const mappings =
  (name: string): Words =>
  value => {
    const list = value as { from: number; to: number }[]
    return list.length > 0 ? [name, ...list.map(({ from, to }) => `${from}:${to}`)] : undefined
  }

const vlan: Record<string, Words> = {
  flags: bits({
    reorderHdr: on => ['reorder_hdr', on ? 'on' : 'off'],
    gvrp: on => ['gvrp', on ? 'on' : 'off'],
    looseBinding: on => ['loose_binding', on ? 'on' : 'off'],
    mvrp: on => ['mvrp', on ? 'on' : 'off'],
    bridgeBinding: on => ['bridge_binding', on ? 'on' : 'off']
  }),
  egressQos: mappings('egress-qos-map'),
  ingressQos: mappings('ingress-qos-map')
}

const vxlan: Record<string, Words> = {
  remote6: word('remote'),
  local6: word('local'),
  learning: bare('learning'),
  limit: word('maxaddress'),
  portRange: value => {
    const { low = 0, high = 0 } = value as { low?: number; high?: number }
    return ['srcport', text(low), text(high)]
  },
  proxy: bare('proxy'),
  rsc: bare('rsc'),
  l2miss: bare('l2miss'),
  l3miss: bare('l3miss'),
  dstPort: word('dstport'),
  udpCsum: bare('udpcsum'),
  udpZeroCsum6Tx: bare('udp6zerocsumtx'),
  udpZeroCsum6Rx: bare('udp6zerocsumrx'),
  remcsumTx: bare('remcsumtx'),
  remcsumRx: bare('remcsumrx'),
  gbp: () => ['gbp'],
  remcsumNopartial: none,
  collectMetadata: bare('external'),
  label: word('flowlabel'),
  gpe: () => ['gpe'],
  ttlInherit: () => ['ttl', 'inherit'],
  vnifilter: bare('vnifilter'),
  localbypass: bare('localbypass'),
  labelPolicy: value => (value === 'inherit' ? ['flowlabel', 'inherit'] : undefined),
  reservedBits: none,
  // Without 0x iproute2 takes it for hexadecimal all the same.
  tos: value => ['tos', `0x${Number(value).toString(16)}`],
  // iproute2 shows a time to live of 0, and takes it as "auto".
  ttl: value => ['ttl', value === 0 ? 'auto' : text(value)]
}

const macvlan: Record<string, Words> = {
  flags: value => {
    const { nopromisc, nodst } = value as { nopromisc?: boolean; nodst?: boolean }
    return ['flag', nopromisc ? 'nopromisc' : nodst ? 'nodst' : 'null']
  },
  macaddrs: value => {
    const list = value as string[]
    return list.length > 0 ? ['macaddr', 'set', ...list] : ['macaddr', 'flush']
  },
  bcQueueLen: word('bcqueuelen'),
  bcCutoff: word('bclim')
}

const kinds: Record<string, Record<string, Words>> = { bridge, vlan, vxlan, macvlan, macvtap: macvlan }

const port: Record<string, Words> = {
  fastLeave: onOff('mcast_fast_leave'),
  groupFwdMask: word('group_fwd_mask'),
  mcastRouter: multicastRouter,
  priority: word('priority'),
  cost: word('cost'),
  mcastEhtHostsLimit: none,
  mcastMaxGroups: word('mcast_max_groups'),
  backupNhid: word('backup_nhid'),
  neighForwardGrat: none,
  learningSync: onOff('learning_sync')
}

/** `mcast_hash_max` for `mcastHashMax`: iproute2 names what it names like the kernel so. */
const snake = (name: string) => name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)

/** The words for what a wish asks for, links by `nameOf`. */
export function wordsFor(
  { place, name, value, wanted }: Wish,
  kind: string | undefined,
  nameOf: (ref: unknown) => string
): readonly string[] | undefined {
  const to = place === 'flag' ? value : plainly(wanted)
  switch (place) {
    case 'reference':
      if (name === 'master') return value === null ? ['nomaster'] : ['master', nameOf(value)]
      if (name === 'backupPort') return value === null ? ['nobackup_port'] : ['backup_port', nameOf(value)]
      return [name, nameOf(value)]
    case 'port':
      return (port[name] ?? (typeof value === 'boolean' ? onOff(snake(name)) : word(snake(name))))(to)
    case 'data':
      return (kinds[kind ?? '']?.[name] ?? word(snake(name)))(name === 'boolopt' || name === 'flags' ? value : to)
    default:
      return (link[name] ?? none)(name === 'afSpec' ? value : to)
  }
}

function plainly(wanted: unknown): unknown {
  return typeof wanted === 'bigint' ? String(wanted) : wanted
}
