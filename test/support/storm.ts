/** A storm of changes to links: half of them by a pipelining socket, half by `ip -batch`, drawn from a seed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Netlink } from '../../lib/index.js'
import { changeRequest, createRequest, deleteRequest } from '../../lib/link/link-requests.js'
import type { Request } from '../../lib/netlink/request.js'
import type { Namespace } from './namespace.js'
import { random } from './random.js'

/** Links that come and go, by number. */
const LINKS = 48
const BRIDGES = 4
/** Changes in one pipelined batch, at most. */
const BATCH = 400

type Draw = (below: number) => number

const name = (draw: Draw) => `s${draw(LINKS)}`
const bridge = (draw: Draw) => `b${draw(BRIDGES)}`
const mac = (draw: Draw) => `02:00:00:00:00:${(16 + draw(200)).toString(16)}`

/** A change as words of `ip -batch`, and as a request of ours where there is one that needs no look-up. */
interface Change {
  words: string
  request?: Request
}

/** The links are made, renamed and removed by name only; half of what is drawn fails, for there is no such link. */
function change(draw: Draw, bridges: number[]): Change {
  const link = name(draw)
  const kind = draw(100)
  if (kind < 5) {
    const peer = name(draw)
    return {
      words: `link add name ${link} type veth peer name ${peer}`,
      request: createRequest({ kind: 'veth', name: link, peer: { name: peer } }, false)
    }
  }
  if (kind < 8) {
    return { words: `link add name ${link} type bridge`, request: createRequest({ kind: 'bridge', name: link }, false) }
  }
  if (kind < 10) return { words: `link add link low name ${link} type macvlan mode bridge` }
  if (kind < 12) return { words: `link del dev ${link}`, request: deleteRequest(link) }
  if (kind < 18) return { words: `link set dev ${link} name ${name(draw)}` }
  if (kind < 38) {
    const mtu = 1280 + draw(220)
    return { words: `link set dev ${link} mtu ${mtu}`, request: changeRequest(link, { mtu }) }
  }
  if (kind < 48) {
    const up = draw(3) > 0
    return { words: `link set dev ${link} ${up ? 'up' : 'down'}`, request: changeRequest(link, { up }) }
  }
  if (kind < 60) {
    const to = draw(BRIDGES)
    return {
      words: `link set dev ${link} master ${bridge(draw)}`,
      request: changeRequest(link, { master: bridges[to] as number })
    }
  }
  if (kind < 66) return { words: `link set dev ${link} nomaster`, request: changeRequest(link, { master: 0 }) }
  if (kind < 78) {
    const address = mac(draw)
    return { words: `link set dev ${link} address ${address}`, request: changeRequest(link, { address }) }
  }
  if (kind < 86) {
    const alias = `alias ${draw(1000)}`
    return { words: `link set dev ${link} alias a${draw(1000)}`, request: changeRequest(link, { alias }) }
  }
  if (kind < 93) {
    const txqlen = 1 + draw(1000)
    return { words: `link set dev ${link} txqueuelen ${txqlen}`, request: changeRequest(link, { txqlen }) }
  }
  return {
    words: `link set dev ${link} type bridge_slave cost ${1 + draw(1000)}`,
    request: changeRequest(link, { port: { cost: 1 + draw(1000) } })
  }
}

/** Makes the changes. The namespace has what they need afterwards: bridges b0 to b3, and a lower device. */
export async function storm(ns: Namespace, seed: number, changes: number): Promise<void> {
  const draw = random(seed)
  using net = await Netlink.open({ netns: ns.name })
  const bridges: number[] = []
  for (let i = 0; i < BRIDGES; i++) bridges.push((await net.links.create({ kind: 'bridge', name: `b${i}` })).index)
  await net.links.create({ kind: 'veth', name: 'low', peer: { name: 'lowest' } })
  let ours = Math.ceil(changes / 2)
  const byUs = async () => {
    while (ours > 0) {
      const count = Math.min(1 + draw(BATCH), ours)
      ours -= count
      const requests = Array.from({ length: count }, () => change(draw, bridges).request).filter(
        request => request !== undefined
      )
      await net.socket.batch(requests)
    }
  }
  const theirs = Array.from({ length: Math.floor(changes / 2) }, () => change(draw, bridges).words)
  await Promise.all([byUs(), byProgram(ns, 'ip', theirs)])
}

/** Changes each link once more in a way that is announced whatever state it is in: most changes are not while it is down. */
export async function sweep(net: Netlink): Promise<void> {
  const links = (await net.links.list()).filter(link => link.name !== 'lo')
  await net.socket.batch(links.map(link => changeRequest(link.index, { txqlen: 7 + (link.txqlen ?? 0) })))
}

async function byProgram(ns: Namespace, program: 'ip' | 'bridge', lines: string[]): Promise<void> {
  const child = spawn(program, ['-n', ns.name, '-force', '-batch', '-'], { stdio: ['pipe', 'ignore', 'ignore'] })
  child.stdin.on('error', () => {})
  child.stdin.end(`${lines.join('\n')}\n`)
  await once(child, 'exit')
}

/** A change of an address, a route, a neighbour or a forwarding entry, or of a link that they go with. */
function tableChange(draw: Draw): { program: 'ip' | 'bridge'; words: string } {
  const link = `t${draw(6)}`
  const kind = draw(100)
  if (kind < 20)
    return { program: 'ip', words: `addr ${draw(3) ? 'add' : 'del'} 192.0.2.${1 + draw(30)}/24 dev ${link}` }
  if (kind < 30) {
    return { program: 'ip', words: `addr ${draw(3) ? 'add' : 'del'} 2001:db8::${1 + draw(30)}/64 dev ${link} nodad` }
  }
  if (kind < 48) {
    const verb = ['add', 'replace', 'append', 'del'][draw(4)]
    return { program: 'ip', words: `route ${verb} 198.51.100.${draw(20)} dev ${link} table ${[254, 77][draw(2)]}` }
  }
  if (kind < 58) {
    return { program: 'ip', words: `-6 route ${draw(3) ? 'replace' : 'del'} 2001:db8:1:${draw(20)}::/64 dev ${link}` }
  }
  if (kind < 74) {
    const verb = ['replace', 'del'][draw(4) ? 0 : 1]
    return { program: 'ip', words: `neigh ${verb} 192.0.2.${100 + draw(30)} lladdr ${mac(draw)} dev ${link}` }
  }
  if (kind < 92) {
    const verb = draw(4) ? 'replace' : 'del'
    return { program: 'bridge', words: `fdb ${verb} ${mac(draw)} dev ${link} master${verb === 'del' ? '' : ' static'}` }
  }
  if (kind < 96) return { program: 'ip', words: `link set dev ${link} ${draw(3) ? 'up' : 'down'}` }
  return { program: 'ip', words: `link set dev ${link} ${draw(3) ? `master b${draw(2)}` : 'nomaster'}` }
}

/** Makes changes to tables other than that of links, by `ip` and `bridge` at the same time. */
export async function stormOfTables(ns: Namespace, seed: number, changes: number): Promise<void> {
  const draw = random(seed)
  const begin = ['link set dev lo up']
  for (let i = 0; i < 2; i++) begin.push(`link add name b${i} type bridge`, `link set dev b${i} up`)
  for (let i = 0; i < 6; i += 2) {
    begin.push(`link add name t${i} type veth peer name t${i + 1}`)
    begin.push(`link set dev t${i} up`, `link set dev t${i + 1} up`, `link set dev t${i} master b0`)
  }
  await byProgram(ns, 'ip', begin)
  const drawn = Array.from({ length: changes }, () => tableChange(draw))
  const of = (program: 'ip' | 'bridge') => drawn.filter(each => each.program === program).map(each => each.words)
  await Promise.all([byProgram(ns, 'ip', of('ip')), byProgram(ns, 'bridge', of('bridge'))])
}
