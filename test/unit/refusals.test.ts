/** Wrong input is refused before anything is sent, and the error names the place and what is allowed. */
import { describe, expect, it } from 'vitest'
import '../../lib/rtnetlink/kinds/index.js'
import { attributes } from '../../lib/codec/attributes.js'
import { u8 } from '../../lib/codec/integers.js'
import { Writer } from '../../lib/codec/writer.js'
import { LinkwrightError } from '../../lib/errors.js'
import { Link } from '../../lib/link/link.js'
import { changeRequest, createRequest } from '../../lib/link/link-requests.js'
import { dataView, type Message, messagesIn } from '../../lib/netlink/framing.js'
import { linkMessage } from '../../lib/rtnetlink/link.js'
import { findLinkKind, linkKindNames } from '../../lib/rtnetlink/link-kind.js'
import { routeMessage } from '../../lib/rtnetlink/route.js'
import { encode, thrown } from '../support/fake-kernel.js'

function refusal(schema: { write(writer: Writer, value: never): void }, value: unknown, creating = false) {
  return thrown(() => {
    const writer = new Writer()
    writer.creating = creating
    schema.write(writer, value as never)
  })
}

describe('paths', () => {
  const macvlan = (data: object) => ({ linkinfo: { kind: 'macvlan', data } })
  it.each([
    [{ mtu: -1 }, 'mtu', '0 to 4294967295'],
    [{ nonsense: 1 }, 'nonsense', 'address'],
    [{ flags: { up: 1 } }, 'flags', 'up'],
    [macvlan({ mode: 'loud' }), 'linkinfo.data.mode', "'private' | 'vepa' | 'bridge' | 'passthru' | 'source'"],
    [macvlan({ macaddrs: ['02:00:00:00:00:01', 'x'] }), 'linkinfo.data.macaddrs[1]', 'MAC address'],
    [macvlan({ macaddrs: 'x' }), 'linkinfo.data.macaddrs', 'an array of'],
    [{ propList: ['fine', 'not fine'] }, 'propList[1]', '1 to 127 bytes'],
    [
      { linkinfo: { kind: 'vlan', data: { egressQos: [{ from: 1, to: 2 }, { from: -1 }] } } },
      'linkinfo.data.egressQos[1].from',
      '0 to'
    ],
    [{ linkinfo: { kind: 'veth', data: { peer: { mtu: 'x' } } } }, 'linkinfo.data.peer.mtu', '0 to'],
    [
      { linkinfo: { kind: 'veth', data: { peer: { linkinfo: { kind: 'macvlan', data: { mode: 3 } } } } } },
      'linkinfo.data.peer.linkinfo.data.mode',
      'private'
    ],
    [{ linkinfo: null }, 'linkinfo', 'an object of attributes'],
    [{ linkinfo: [] }, 'linkinfo', 'an object of attributes'],
    [{ afSpec: { inet6: { addrGenMode: 'x' } } }, 'afSpec.inet6.addrGenMode', "'eui64'"]
  ])('%j: %s', (value, path, allowed) => {
    const error = refusal(linkMessage, value, true)
    expect(error).toBeInstanceOf(LinkwrightError)
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
    expect(error.allowed).toContain(allowed)
    expect(error.message.startsWith(`${path}: expected `)).toBe(true)
  })

  it('of next hops', () => {
    const hops = (...multipath: object[]) => refusal(routeMessage, { multipath }).path
    expect(hops({ gateway: '192.0.2.1' }, { gateway: 'x' })).toBe('multipath[1].gateway')
    expect(hops({ weight: 0 })).toBe('multipath[0].weight')
    expect(hops({ weight: 257 })).toBe('multipath[0].weight')
    expect(hops({ index: -(2 ** 40) })).toContain('multipath[0]')
  })
})

describe('options of attributes', () => {
  const table = attributes({
    seen: [1, u8, { readOnly: true }],
    born: [2, u8, { createOnly: true }],
    newer: [3, u8, { since: '6.4' }],
    newest: [4, u8, { since: '6.15' }]
  })

  it('refuses what is read-only, even at creation', () => {
    expect(thrown(() => encode(table, { seen: 1 }, true))).toMatchObject({ path: 'seen' })
    expect(thrown(() => encode(table, { seen: 1 })).message).toMatch(/read-only/)
  })

  it('takes what is for creation then, and refuses it later', () => {
    expect(encode(table, { born: 1 }, true).length).toBe(8)
    expect(thrown(() => encode(table, { born: 1 }))).toMatchObject({ path: 'born' })
    expect(thrown(() => encode(table, { born: 1 })).message).toMatch(/at creation/)
  })

  it('remembers the newest kernel that is needed', () => {
    const writer = new Writer()
    table.write(writer, { newer: 1 })
    expect(writer.since).toBe('6.4')
    table.write(writer, { newest: 1 })
    table.write(writer, { newer: 1 })
    expect(writer.since).toBe('6.15')
  })
})

describe('every attribute of every kind', () => {
  const all = linkKindNames().flatMap(kind =>
    Object.entries(findLinkKind(kind)?.data.table ?? {}).map(([name, entry]) => ({
      kind,
      name,
      options: entry[2] ?? {}
    }))
  )

  it.each(all.filter(({ options }) => options.readOnly))('$kind $name is read-only', ({ kind, name }) => {
    const error = refusal(linkMessage, { linkinfo: { kind, data: { [name]: 1 } } }, true)
    expect(error.path).toBe(`linkinfo.data.${name}`)
    expect(error.message).toMatch(/read-only/)
  })

  it.each(all.filter(({ options }) => options.createOnly))('$kind $name is for creation', ({ kind, name }) => {
    const error = refusal(linkMessage, { linkinfo: { kind, data: { [name]: 1 } } })
    expect(error.path).toBe(`linkinfo.data.${name}`)
    expect(error.message).toMatch(/at creation/)
  })

  // Options of a kind stand beside those of any link: the same name would hide one of them.
  it.each(
    all.filter(
      ({ options, name, kind }) => !options.readOnly && !(kind === 'veth' && name === 'peer') && name !== 'dev'
    )
  )('$kind $name is no option of any link', ({ kind, name }) => {
    const error = thrown(() => changeRequest(1, { kind, [name]: Symbol('wrong') }))
    expect(error.path).toBe(name)
  })
})

describe('links', () => {
  it.each([
    [{ name: 'x' }, 'kind'],
    [{ kind: 'nonsense' }, 'kind'],
    [{ kind: 'tun', name: 'x' }, 'kind'],
    [{ kind: 'macvtap', link: 1 }, 'mode'],
    [{ kind: 'macvtap', mode: 'bridge' }, 'link'],
    [{ kind: 'vlan', link: 1 }, 'id'],
    [{ kind: 'bridge', name: 'a name' }, 'name'],
    [{ kind: 'bridge', up: 1 }, 'up'],
    [{ kind: 'bridge', mode: 'bridge' }, 'mode'],
    [{ kind: 'bridge', ageingTime: -1 }, 'ageingTime'],
    [{ kind: 'bridge', unknownData: [{ type: 200, data: 'x' }] }, 'unknownData[0].data'],
    [{ kind: 'veth', peer: { colour: 1 } }, 'peer.colour'],
    [{ kind: 'veth', peer: { up: 1 } }, 'peer.up'],
    [{ kind: 'veth', peer: { mtu: -1 } }, 'peer.mtu']
  ])('%j: %s', (options, path) => {
    expect(thrown(() => createRequest(options, false))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path })
  })

  it("attributes that no table names survive in a link and its kind's data, and are sent again", () => {
    const unknown = [{ type: 200, data: 'beef' }]
    const unknownData = [
      { type: 201, data: '01' },
      { type: 202, nested: true, data: '0400' }
    ]
    const sent = createRequest({ kind: 'bridge', name: 'br0', ageingTime: 5, unknown, unknownData }, false)
    const { data, start, end } = messagesIn(dataView(sent.bytes))[0] as Message
    const link = new Link({ data, start, end, row: -1 })
    if (!link.is('bridge')) throw new Error('no bridge')
    const { name, unknown: own, data: kindData } = link
    const again = { kind: 'bridge', name, ageingTime: kindData.ageingTime, unknown: own, unknownData: kindData.unknown }
    expect(kindData.unknown).toHaveLength(2)
    expect(createRequest(again, false).bytes).toEqual(sent.bytes)
  })

  it('unknown attributes of a kind need the kind beside them', () => {
    expect(thrown(() => changeRequest(1, { unknownData: [] })).path).toBe('unknownData')
  })

  it.each([[0], [-1], [1.5], [2 ** 31]])('%d is no ifindex', index => {
    expect(thrown(() => changeRequest(index, {})).path).toBe('link')
  })
})
