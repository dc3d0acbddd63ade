/** Questions of a guest's to a DNS server. */
import type { GuestStack } from './guest-stack.js'

const UDP = 17
export const TYPE = { a: 1, cname: 5, txt: 16, aaaa: 28, srv: 33 } as const

export interface DnsAnswer {
  /** 0 NOERROR, 3 NXDOMAIN, 5 REFUSED */
  rcode: number
  /** Data of the answers, raw. */
  answers: { type: number; data: Buffer }[]
}

const encode = (name: string) =>
  Buffer.concat([...name.split('.').map(label => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.of(0)])

/** Length of a name, which may end in a pointer. */
function skip(data: Buffer, at: number): number {
  let end = at
  while (data[end] !== 0) {
    if (((data[end] ?? 0) & 0xc0) === 0xc0) return end + 2
    end += 1 + (data[end] ?? 0)
  }
  return end + 1
}

let id = 1

export async function query(
  guest: GuestStack,
  server: { ip: string; mac: string },
  name: string,
  type: number = TYPE.a,
  wait = 3000
): Promise<DnsAnswer | undefined> {
  const asked = id++
  const head = Buffer.from([asked >> 8, asked, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  const question = Buffer.concat([encode(name), Buffer.of(0, type, 0, 1)])
  const port = 40000 + asked
  const answer = guest.receive(({ protocol, payload }) => {
    if (protocol !== UDP || payload.readUInt16BE(2) !== port) return undefined
    const data = payload.subarray(8)
    const answers: DnsAnswer['answers'] = []
    let at = 12 + question.length
    for (let left = data.readUInt16BE(6); left > 0; left--) {
      at = skip(data, at)
      const length = data.readUInt16BE(at + 8)
      answers.push({ type: data.readUInt16BE(at), data: data.subarray(at + 10, at + 10 + length) })
      at += 10 + length
    }
    return { rcode: (data[3] ?? 0) & 0xf, answers }
  }, wait)
  guest.sendUdp(server.ip, server.mac, [port, 53], Buffer.concat([head, question]))
  return await answer
}
