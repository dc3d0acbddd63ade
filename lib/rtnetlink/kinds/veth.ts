/** Pairs of virtual Ethernet links: VETH_INFO_* of linux/veth.h. */
import type { Codec } from '../../codec/codec.js'
import { linkMessage } from '../link.js'
import { linkKind } from '../link-kind.js'

declare module '../link-kind.js' {
  interface LinkKinds {
    veth: typeof veth
  }
}

type PeerIn = Parameters<typeof linkMessage.write>[1]
type PeerOut = ReturnType<typeof linkMessage.read>

/** The peer is a whole link message: its header, then attributes. */
const peer: Codec<PeerIn, PeerOut> = {
  expects: 'the attributes of a link',
  write: (writer, value) => linkMessage.write(writer, value),
  read: (data, offset, length) => linkMessage.read(data, offset, offset + length),
  locate: (data, start, end, target) => linkMessage.locate(data, start, end, target)
}

export const veth = linkKind('veth', {
  /** The other end. It cannot be created up: it is opened before it is paired. */
  peer: [1, peer, { createOnly: true }]
})
