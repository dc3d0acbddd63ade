/** Nexthop objects over the NIC (`ip nexthop`), for the link that takes over: routes by them go where they go. */
import { constants } from 'node:os'
import { hostLittleEndian } from '../../codec/endian.js'
import { LinkwrightError } from '../../errors.js'
import type { Netlink } from '../../link/netlink.js'
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE } from '../../netlink/constants.js'
import { rawRequest, replaced, type Told, toldIn, u32, u32At, viewOf } from '../rewriting.js'
import type { Change } from '../step.js'
import type { Target } from './addresses.js'

const { EOPNOTSUPP } = constants.errno

const RTM_NEWNEXTHOP = 104
const RTM_GETNEXTHOP = 106
/** struct nhmsg: at 1 the scope, which is only told; at 4 the flags, of which RTNH_F_ONLINK can be asked for. */
const HEADER = 8
const SCOPE_AT = 1
const FLAGS_AT = 4
const ONLINK = 0x4

/** NHA_* */
const ID = 1
const OIF = 5

export type Nexthop = Told

export async function nexthopsOver(net: Netlink, index: number): Promise<Nexthop[]> {
  const request = rawRequest('RTM_GETNEXTHOP', RTM_GETNEXTHOP, NLM_F_DUMP, new Uint8Array(HEADER), [], undefined)
  try {
    const found = await net.socket.dump(request)
    return found
      .map(({ data, start, end }) => toldIn(data, start, end, HEADER))
      .filter(({ attributes }) => attributes.some(({ type, payload }) => type === OIF && u32At(payload) === index))
  } catch (error) {
    // Linux has them since 5.3.
    if (error instanceof LinkwrightError && error.errno === -EOPNOTSUPP) return []
    throw error
  }
}

/** In one step: routes by it have a nexthop all the time. */
export function movingNexthop(nexthop: Nexthop, to: Target): Change {
  const header = nexthop.header.slice()
  const data = viewOf(header)
  header[SCOPE_AT] = 0
  data.setUint32(FLAGS_AT, data.getUint32(FLAGS_AT, hostLittleEndian) & ONLINK, hostLittleEndian)
  const attributes = replaced(nexthop.attributes, new Map([[OIF, u32(to.index)]]))
  const id = idOf(nexthop)
  return {
    request: rawRequest(
      'RTM_NEWNEXTHOP',
      RTM_NEWNEXTHOP,
      NLM_F_CREATE | NLM_F_REPLACE,
      header,
      attributes,
      `nexthop ${id} dev ${to.name}`
    ),
    command: `ip nexthop replace id ${id} dev ${to.name} # otherwise as it is`
  }
}

export function idOf({ attributes }: Nexthop): number {
  const payload = attributes.find(({ type }) => type === ID)?.payload
  return payload ? u32At(payload) : 0
}
