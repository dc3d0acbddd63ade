/** Ids that a namespace has for others: what attributes such as `linkNetnsid` and watches of all namespaces speak of. */
import { invalidArgument } from '../errors.js'
import { encodeRequest } from '../netlink/request.js'
import type { CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { type NetnsRef, openNetns } from '../netns.js'
import { nsidMessage } from '../rtnetlink/nsid.js'
import { RTM } from '../rtnetlink/verbs.js'
import { withOptions } from './option-paths.js'

const schema = withOptions(nsidMessage, { fd: 'netns', nsid: 'id' })

const UNASSIGNED = -1

/** The id of a namespace; `undefined` for one that has none. */
export async function findNsid(
  socket: NetlinkSocket,
  ref: NetnsRef,
  options?: CallOptions
): Promise<number | undefined> {
  using netns = openNetns(ref)
  const request = encodeRequest('RTM_GETNSID', RTM.RTM_GETNSID, schema, { fd: netns.fd })
  const replies = await socket.request(request, options)
  const reply = replies.find(message => message.type === RTM.RTM_NEWNSID)
  const nsid = reply && nsidMessage.read(reply.data, reply.start, reply.end).nsid
  return nsid === undefined || nsid === UNASSIGNED ? undefined : nsid
}

/** Gives a namespace an id, unless it has one. */
export async function assignNsid(
  socket: NetlinkSocket,
  ref: NetnsRef,
  id: number | undefined,
  options?: CallOptions
): Promise<number> {
  if (id !== undefined && !(Number.isInteger(id) && id >= 0 && id <= 0x7fffffff)) {
    throw invalidArgument('id', 'an id from 0', id)
  }
  const known = id === undefined ? await findNsid(socket, ref, options) : undefined
  if (known !== undefined) return known
  using netns = openNetns(ref)
  const value = { fd: netns.fd, nsid: id ?? UNASSIGNED }
  await socket.request(encodeRequest('RTM_NEWNSID', RTM.RTM_NEWNSID, schema, value), options)
  return id ?? ((await findNsid(socket, ref, options)) as number)
}
