/** What a host answers: ARP requests for its address, ICMP echo requests and UDP datagrams to port 7 (echo). */

const macBytes = mac => Buffer.from(mac.replaceAll(':', ''), 'hex')
const ipBytes = ip => Buffer.from(ip.split('.').map(Number))

function checksum(data) {
  let sum = 0
  for (let at = 0; at + 1 < data.length; at += 2) sum += data.readUInt16BE(at)
  if (data.length % 2) sum += data[data.length - 1] << 8
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/**
 * The answer to an Ethernet frame, and what was asked; `undefined` for what is not for us.
 *
 * @param {Buffer} frame
 * @param {{ mac: string, ip: string }} self
 * @returns {{ asked: 'arp' | 'icmp' | 'udp', reply: Buffer } | undefined}
 */
export function answer(frame, self) {
  if (frame.length < 42) return undefined
  const mac = macBytes(self.mac)
  const ip = ipBytes(self.ip)
  const type = frame.readUInt16BE(12)
  if (type === 0x0806) return answerArp(frame, mac, ip)
  if (type === 0x0800 && frame.subarray(0, 6).equals(mac)) return answerIpv4(frame, mac, ip)
  return undefined
}

function answerArp(frame, mac, ip) {
  if (frame.readUInt16BE(20) !== 1 || !frame.subarray(38, 42).equals(ip)) return undefined
  const asker = frame.subarray(22, 32)
  const head = Buffer.concat([asker.subarray(0, 6), mac, frame.subarray(12, 20), Buffer.of(0, 2)])
  return { asked: 'arp', reply: Buffer.concat([head, mac, ip, asker]) }
}

/** Source and destination change places, which leaves the sums over them as they were. */
function answerIpv4(frame, mac, ip) {
  const reply = Buffer.from(frame)
  const packet = reply.subarray(14)
  const payload = packet.subarray((packet[0] & 0xf) * 4, packet.readUInt16BE(2))
  if (!packet.subarray(16, 20).equals(ip) || payload.length < 8) return undefined
  frame.copy(reply, 0, 6, 12)
  mac.copy(reply, 6)
  frame.copy(packet, 16, 26, 30)
  ip.copy(packet, 12)
  if (packet[9] === 1 && payload[0] === 8) {
    payload[0] = 0
    payload.writeUInt16BE(0, 2)
    payload.writeUInt16BE(checksum(payload), 2)
    return { asked: 'icmp', reply }
  }
  if (packet[9] === 17 && payload.readUInt16BE(2) === 7) {
    const port = payload.readUInt16BE(0)
    payload.writeUInt16BE(7, 0)
    payload.writeUInt16BE(port, 2)
    return { asked: 'udp', reply }
  }
  return undefined
}
