/** Link options made into requests. References are ifindexes by now. */
import { differences, type In } from '../codec/attributes.js'
import { prefixPath } from '../codec/codec.js'
import { hostLittleEndian } from '../codec/endian.js'
import { invalidArgument } from '../errors.js'
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_ECHO, NLM_F_EXCL, NLMSG_HEADER } from '../netlink/constants.js'
import { dataView, messagesIn } from '../netlink/framing.js'
import { encodeRequest, type Request } from '../netlink/request.js'
import { linkMessage } from '../rtnetlink/link.js'
import { RTM, type RtnetlinkVerb } from '../rtnetlink/verbs.js'
import type { Link } from './link.js'
import { type SplitOptions, splitOptions } from './link-options.js'
import { withOptions } from './option-paths.js'

const schema = withOptions(linkMessage, {
  'linkinfo.kind': 'kind',
  'linkinfo.data.peer.netnsFd': 'peer.netns',
  'linkinfo.data.unknown': 'unknownData',
  'linkinfo.data': '',
  'linkinfo.portData': 'port',
  propList: 'altnames',
  altIfname: 'name',
  netnsFd: 'netns'
})

/** Longest name that fits IFLA_IFNAME; longer ones are alternative names. */
const IFNAME_MAX = 15

/** Options whose references were looked up. */
export interface ResolvedOptions {
  kind?: string | undefined
  name?: string | undefined
  index?: number | undefined
  link?: number | undefined
  master?: number | undefined
  port?: Record<string, unknown> | undefined
  netnsFd?: number | undefined
  dev?: number | undefined
  peer?: ResolvedOptions | undefined
  [other: string]: unknown
}

type LinkIn = In<(typeof linkMessage)['attributes']>

function linkRequest(
  verb: RtnetlinkVerb,
  value: object,
  options: { flags?: number; creating?: boolean; link?: string | number | undefined } = {}
): Request {
  return encodeRequest(verb, RTM[verb], schema, value, options)
}

/** Attributes that name a link in a request: ifindex in the header, or one of its names. */
export function reference(ref: string | number, path = 'link'): { index?: number; name?: string; altIfname?: string } {
  if (typeof ref === 'number') {
    if (!Number.isInteger(ref) || ref < 1 || ref > 0x7fffffff) throw invalidArgument(path, 'an ifindex', ref)
    return { index: ref }
  }
  return Buffer.byteLength(ref) > IFNAME_MAX ? { altIfname: ref } : { name: ref }
}

/** RTM_NEWLINK that creates. A port's own settings cannot go along (EOPNOTSUPP): they follow, and so does "up" then. */
export function createRequest(options: ResolvedOptions, echo: boolean): Request {
  const split = splitOptions(options)
  const { kind } = split
  if (!kind) throw invalidArgument('kind', 'the kind of link to create', options.kind)
  if (kind.notCreatable) throw invalidArgument('kind', `another kind: ${kind.notCreatable}`, kind.name)
  for (const required of kind.required) {
    if (options[required] === undefined) {
      const codec = kind.data.table[required]?.[1]
      throw invalidArgument(required, `${codec?.expects} (required for ${kind.name})`, undefined)
    }
  }
  if (kind.lower && options.link === undefined) {
    throw invalidArgument('link', `the lower device of the ${kind.name}`, undefined)
  }
  return linkRequest('RTM_NEWLINK', creationAttributes(options, split), {
    flags: NLM_F_CREATE | NLM_F_EXCL | (echo ? NLM_F_ECHO : 0),
    creating: true,
    link: options.name ?? kind.name
  })
}

/**
 * What must wait until the link exists, if anything: a second change, and "up" with it where it shall see it.
 *
 * A macvlan or macvtap in mode passthru has the MAC address of its lower device: the kernel ignores an address that is
 * given at creation. Set afterwards, it becomes the address of the lower device as well; the kernel puts the old one
 * back when the link is deleted.
 */
export function afterCreation(options: ResolvedOptions): ResolvedOptions | undefined {
  let later: ResolvedOptions | undefined
  for (const key of lateOf(options)) {
    if (options[key] === undefined) continue
    later ??= {}
    later[key] = options[key]
  }
  // A link comes up configured; an alias says nothing that would matter to it.
  if (later && options['up'] !== undefined && Object.keys(later).some(key => key !== 'alias')) {
    later['up'] = options['up']
  }
  return later
}

/** What the kernel takes of links that exist and ignores at creation. */
const LATE = ['alias', 'carrier', 'protoDown', 'afSpec', 'xdp', 'port', 'ipv6']
const LATE_PASSTHRU = ['address', ...LATE]
/** A bridge keeps an MTU that is set when it exists. */
const LATE_BRIDGE = ['mtu', ...LATE]

function lateOf(options: ResolvedOptions): string[] {
  if (options.kind === 'bridge') return LATE_BRIDGE
  return takesLowerAddress(options) ? LATE_PASSTHRU : LATE
}

function takesLowerAddress({ kind, mode }: ResolvedOptions): boolean {
  return (kind === 'macvlan' || kind === 'macvtap') && mode === 'passthru'
}

/** Without spreading objects: this is most of what a bulk creation costs in JavaScript. */
function creationAttributes(
  options: ResolvedOptions,
  { kind, attributes, data, flags }: SplitOptions,
  peer = false
): LinkIn & Record<string, unknown> {
  const value = attributes
  const later = afterCreation(options)
  if (later) for (const key of Object.keys(later)) delete value[key]
  // A veth's peer is opened before it is paired, so it cannot be born up (ENOTCONN); ports come up configured.
  if (peer || later?.['up'] !== undefined) delete flags['up']
  const { mask } = linkMessage.header.fields.flags.toMask(flags)
  if (mask) {
    value['flags'] = flags
    value['change'] = mask
  }
  value['index'] = options.index
  value['name'] = options.name
  value['link'] = options.link
  value['netnsFd'] = options.netnsFd
  if (!peer) value['master'] = options.master
  if (kind) {
    let kindData = data
    if (options.dev !== undefined) kindData = { ...kindData, dev: options.dev }
    if (options.peer) kindData = { ...kindData, peer: peerAttributes(options.peer) }
    value['linkinfo'] = { kind: kind.name, data: kindData }
  }
  return value
}

function peerAttributes(peer: ResolvedOptions): object {
  try {
    return creationAttributes(peer, splitOptions(peer), true)
  } catch (error) {
    throw prefixPath(error, 'peer')
  }
}

/** RTM_NEWLINK on an existing link. Renaming needs the ifindex. */
export function changeRequest(ref: string | number, options: ResolvedOptions): Request {
  const { kind, attributes, data, flags } = splitOptions(options)
  const { name, master, port, netnsFd, dev } = options
  const kindData = { ...data, ...(dev === undefined ? {} : { dev }) }
  const linkinfo = {
    ...(kind ? { kind: kind.name } : {}),
    ...(Object.keys(kindData).length > 0 ? { data: kindData } : {}),
    ...(port ? { portKind: 'bridge', portData: port } : {})
  }
  const mask = linkMessage.header.fields.flags.toMask(flags).mask
  const value = {
    ...reference(ref),
    ...(mask ? { flags, change: mask } : {}),
    ...(name === undefined ? {} : { name }),
    ...attributes,
    ...(master === undefined ? {} : { master }),
    ...(netnsFd === undefined ? {} : { netnsFd }),
    ...(Object.keys(linkinfo).length > 0 ? { linkinfo } : {})
  }
  return linkRequest('RTM_NEWLINK', value, { link: ref })
}

/** Where struct ifinfomsg has the ifindex, behind the header of the message. */
const INDEX_AT = NLMSG_HEADER + 4

/** The same request about another link: encoding is most of what thousands cost in JavaScript. */
export function readdressed(request: Request, index: number): Request {
  const bytes = request.bytes.slice()
  dataView(bytes).setInt32(INDEX_AT, index, hostLittleEndian)
  return { ...request, bytes, link: index }
}

export function deleteRequest(ref: string | number): Request {
  return linkRequest('RTM_DELLINK', reference(ref), { link: ref })
}

/** Removes all links of a group, or none. */
export function deleteGroupRequest(group: number): Request {
  return linkRequest('RTM_DELLINK', { group }, { link: `group ${group}` })
}

export function getRequest(ref: string | number, statistics: boolean, targetNetnsid?: number): Request {
  const value = { ...reference(ref), targetNetnsid, extMask: { skipStats: !statistics } }
  return linkRequest('RTM_GETLINK', value, { link: ref })
}

export function listRequest(filter: {
  kind?: string | undefined
  master?: number | undefined
  statistics?: boolean
  targetNetnsid?: number | undefined
}): Request {
  const value = {
    targetNetnsid: filter.targetNetnsid,
    extMask: { skipStats: !filter.statistics },
    ...(filter.master === undefined ? {} : { master: filter.master }),
    ...(filter.kind === undefined ? {} : { linkinfo: { kind: filter.kind } })
  }
  return linkRequest('RTM_GETLINK', value, { flags: NLM_F_DUMP })
}

/** RTM_NEWLINKPROP or RTM_DELLINKPROP: alternative names. */
export function altnamesRequest(
  verb: 'RTM_NEWLINKPROP' | 'RTM_DELLINKPROP',
  ref: string | number,
  names: string[]
): Request {
  const flags = verb === 'RTM_NEWLINKPROP' ? NLM_F_EXCL | NLM_F_CREATE | NLM_F_APPEND : 0
  return linkRequest(verb, { ...reference(ref), propList: names }, { flags, link: ref })
}

/** Paths of attributes that were sent and that the link does not have: ignored, or made something else of. */
export function notApplied(request: Request, link: Link): string[] {
  const data = dataView(request.bytes)
  const [message] = messagesIn(data)
  if (!message) return []
  const paths = differences(linkMessage.read(data, message.start, message.end), link)
  return paths.filter(path => path !== 'name' && path !== 'linkinfo.data.peer')
}
