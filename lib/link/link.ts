/** A link as it was when it was asked for: a view of the kernel's answer that decodes what is read. */
import { type AttributesView, viewBytes } from '../codec/attributes.js'
import { Block } from '../codec/block.js'
import type { Payload } from '../netlink/framing.js'
import type { bridgePort } from '../rtnetlink/bridge-port.js'
import { linkMessage } from '../rtnetlink/link.js'
import type { KindName, KindView } from '../rtnetlink/link-kind.js'
import { ownerOf } from './owner.js'

/** A link of a known kind: `data` is typed. */
export type LinkOfKind<K extends KindName> = Link & { readonly kind: K; readonly data: KindView<K> }

/**
 * A link. Every attribute of the kernel is a getter (`name`, `index`, `mtu`, `address`, `master`, …), `undefined` where
 * the kernel did not send it; `toJSON()` gives all of them as a plain object. It does not change: ask again for news.
 *
 * What `toJSON()` gives is the kernel's view, not what `create()` takes: there the kind's attributes (`linkinfo.data`)
 * stand beside the others, `flags.up` is `up`, `propList` is `altnames`, and what is read-only is refused. For a link like
 * another, give what shall be the same: `{ kind: 'vlan', link: it.link, id: it.data.id, mtu: it.mtu }`. Attributes that
 * have no name here, `it.unknown` and `it.data.unknown`, are given as `unknown` and `unknownData`.
 */
export class Link extends linkMessage.View {
  constructor({ data, start, end, row }: Payload) {
    super(data, start, end, row)
  }

  /** `bridge`, `macvtap`; `undefined` for a device of a driver. */
  get kind(): string | undefined {
    return this.linkinfo?.kind
  }

  /** What links of this kind have. Narrow it with {@link is}. */
  get data(): AttributesView | Uint8Array | undefined {
    return this.linkinfo?.data as AttributesView | Uint8Array | undefined
  }

  /** `bridge` if the link is a port of one. */
  get portKind(): string | undefined {
    return this.linkinfo?.portKind
  }

  /** What ports of a bridge have. */
  get port(): InstanceType<(typeof bridgePort)['View']> | undefined {
    const info = this.linkinfo
    return info?.portKind === 'bridge' ? (info.portData as InstanceType<(typeof bridgePort)['View']>) : undefined
  }

  /** Administratively up (IFF_UP). */
  get up(): boolean {
    return this.flags.up
  }

  /** Alternative names. */
  get altnames(): string[] {
    return this.propList ?? []
  }

  /** Whose the link is, as it was tagged when it was made. */
  get owner(): string | undefined {
    return ownerOf(this)
  }

  /** The same in memory of its own: what came with it, of a list of thousands, can be forgotten then. */
  copy(): this {
    const { data, start, end } = viewBytes(this)
    const from = data.byteOffset + start - linkMessage.headerLength
    const block = new Block(data.buffer.slice(from, data.byteOffset + end) as ArrayBuffer)
    return new Link({ data: block, start: 0, end: block.byteLength, row: -1 }) as this
  }

  /** Whether the link is of the kind; narrows `data`. */
  is<K extends KindName>(kind: K): this is LinkOfKind<K> {
    return this.kind === kind
  }
}

/** A link, named in one of the ways that the kernel finds without a search. */
export type LinkRef = string | number | { readonly index: number }
