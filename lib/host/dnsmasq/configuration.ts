/** The files that dnsmasq reads, as text. Options are checked before; nothing here can be refused. */
import { isIPv6 } from 'node:net'
import type { Subnets } from './check-options.js'
import type {
  Dhcp4Options,
  Dhcp6Options,
  DnsmasqOptions,
  DnsOptions,
  HostRecord,
  Reservation,
  UpstreamServer
} from './options.js'
import { isHostOf, netmask, networkAddress } from './subnet.js'

/** What the configuration is told of besides the options. */
export interface Surroundings {
  files: Files
  /** Whom it becomes; `undefined` leaves it as it is. */
  identity: { user: string; group: string } | undefined
  /** Of the link and its namespace: sockets stay with a link that is replaced by another of its name. */
  index: number
  namespace: string
}

/** Paths in the private directory. */
export interface Files {
  readonly configuration: string
  readonly reservations: string
  readonly hosts: string
  readonly leases: string
  readonly pid: string
}

const HOUR = 3600

/** Lines that dnsmasq has for logging, at most, while nobody takes them. */
const LOG_QUEUE = 50

export function configurationText(options: DnsmasqOptions, subnets: Subnets, around: Surroundings): string {
  const { files, identity } = around
  const { interface: link, dhcp4, dhcp6, dns = {}, domain, maxLeases = 1000 } = options
  const lines = [
    `# ${options.name}: ${link} (${around.index}) in ${around.namespace}; made by linkwright, changes are lost`,
    `pid-file=${files.pid}`,
    ...(identity ? [`user=${identity.user}`, `group=${identity.group}`] : []),
    'log-facility=-',
    `log-async=${LOG_QUEUE}`,
    'quiet-dhcp',
    'quiet-dhcp6',
    'quiet-ra',
    `interface=${link}`,
    'except-interface=lo',
    'bind-dynamic',
    ...(domain ? [`domain=${domain}`, 'expand-hosts', `local=/${domain}/`] : []),
    ...(dns === false ? ['port=0', 'no-resolv', 'no-hosts'] : dnsLines(dns, files)),
    ...(dhcp4 || dhcp6
      ? [
          'dhcp-authoritative',
          'dhcp-no-override',
          `dhcp-lease-max=${maxLeases}`,
          `dhcp-leasefile=${files.leases}`,
          `dhcp-hostsfile=${files.reservations}`
        ]
      : []),
    ...(dhcp4 ? dhcp4Lines(dhcp4, subnets) : []),
    ...(dhcp6 ? dhcp6Lines(dhcp6, subnets, link) : [])
  ]
  return `${lines.join('\n')}\n`
}

function dnsLines(dns: DnsOptions, files: Files): string[] {
  const { upstream = 'none', hostsFile = false, cname = [], srv = [], txt = [] } = dns
  return [
    'domain-needed',
    'bogus-priv',
    'local=//',
    ...(upstream === 'resolv.conf' ? [] : ['no-resolv']),
    ...(hostsFile ? [] : ['no-hosts']),
    `addn-hosts=${files.hosts}`,
    ...(typeof upstream === 'string' ? [] : upstream.map(serverLine)),
    ...cname.map(({ alias, target }) => `cname=${alias},${target}`),
    ...srv.map(
      ({ name, target, port, priority = 0, weight = 0 }) => `srv-host=${name},${target},${port},${priority},${weight}`
    ),
    ...txt.map(({ name, text }) => `txt-record=${name},"${text}"`)
  ]
}

function serverLine(server: string | UpstreamServer): string {
  const { address, port = 53, domains = [] } = typeof server === 'string' ? { address: server } : server
  const scope = domains.length > 0 ? `/${domains.join('/')}/` : ''
  return `server=${scope}${address}#${port}`
}

function dhcp4Lines(dhcp: Dhcp4Options, { inet }: Subnets): string[] {
  const { ranges = [], lease, router, dnsServers, mtu, routes = [], ping = false } = dhcp
  const time = leaseTime(lease ?? HOUR)
  const served = ranges.map(({ start, end }) => {
    const prefix = inet.find(subnet => isHostOf(subnet, start))
    return `dhcp-range=${start},${end},${netmask(prefix?.length ?? 24)},${time}`
  })
  // Reservations are honoured in a subnet that a range names, if only by its address.
  const reserved = inet
    .filter(subnet => !ranges.some(({ start }) => isHostOf(subnet, start)))
    .map(subnet => `dhcp-range=${networkAddress(subnet)},static,${netmask(subnet.length)},${time}`)
  return [
    ...served,
    ...reserved,
    ...(ping ? [] : ['no-ping']),
    ...(router === undefined ? [] : [`dhcp-option=option:router${router === false ? '' : `,${router}`}`]),
    ...(dnsServers ? [['dhcp-option=option:dns-server', ...dnsServers].join(',')] : []),
    ...(mtu === undefined ? [] : [`dhcp-option-force=option:mtu,${mtu}`]),
    ...(routes.length > 0 ? routeLines(routes, router ?? inet[0]?.address ?? false) : [])
  ]
}

/** Who takes option 121 takes no notice of the router (RFC 3442), so it is among the routes. */
function routeLines(routes: readonly { to: string; via: string }[], router: string | false): string[] {
  const pairs = routes.map(({ to, via }) => `${to.includes('/') ? to : `${to}/32`},${via}`)
  if (router !== false) pairs.push(`0.0.0.0/0,${router}`)
  return [121, 249].map(option => `dhcp-option=${option},${pairs.join(',')}`)
}

function dhcp6Lines(dhcp: Dhcp6Options, { inet6 }: Subnets, link: string): string[] {
  const { mode, ranges = [], lease, router = true, mtu } = dhcp
  const time = leaseTime(lease ?? HOUR)
  const flags = mode === 'stateful' ? [] : [mode]
  const served = ranges.map(({ start, end }) => {
    const prefix = inet6.find(subnet => isHostOf(subnet, start))
    return ['dhcp-range=', [start, end, ...flags, prefix?.length ?? 64, time].join(',')].join('')
  })
  const others = inet6
    .filter(subnet => !ranges.some(({ start }) => isHostOf(subnet, start)))
    .map(subnet => {
      const how = mode.startsWith('ra-') ? flags : ['static', ...flags]
      return `dhcp-range=${[networkAddress(subnet), ...how, subnet.length, time].join(',')}`
    })
  // An interval of 0 is dnsmasq's default; so is a router's lifetime that is left out.
  const words = [...(mtu === undefined ? [] : [`mtu:${mtu}`]), '0', ...(router ? [] : ['0'])]
  const advertise = mtu === undefined && router ? [] : [`ra-param=${[link, ...words].join(',')}`]
  return [...served, ...others, 'enable-ra', ...advertise]
}

/** One line for each guest (dhcp-hostsfile). */
export function reservationsText(reservations: readonly Reservation[]): string {
  const lines = reservations.map(({ mac, clientId, ipv4, ipv6, hostname, lease }) =>
    [
      mac?.toLowerCase(),
      clientId && `id:${clientId.toLowerCase()}`,
      ipv4,
      ipv6 && `[${ipv6}]`,
      hostname,
      lease === undefined ? undefined : leaseTime(lease)
    ]
      .filter(Boolean)
      .join(',')
  )
  return lines.map(line => `${line}\n`).join('')
}

/** As /etc/hosts. */
export function hostsText(hosts: readonly HostRecord[]): string {
  return hosts
    .flatMap(({ addresses, names }) => addresses.map(address => `${canonical(address)} ${names.join(' ')}\n`))
    .join('')
}

function canonical(address: string): string {
  return isIPv6(address) ? networkAddress({ family: 'inet6', address, length: 128 }) : address
}

function leaseTime(seconds: number): string {
  return seconds === Number.POSITIVE_INFINITY ? 'infinite' : String(seconds)
}
