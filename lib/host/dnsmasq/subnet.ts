/** Addresses as numbers, to compare them and to look at their subnets. */
import { isIPv4 } from 'node:net'
import { addressBits, type IpPrefix } from '../../link/ip-prefix.js'

/** The number that an address is. Takes what `net.isIP` takes, without a zone. */
export function addressNumber(address: string): bigint {
  if (isIPv4(address)) return address.split('.').reduce((number, part) => (number << 8n) | BigInt(part), 0n)
  // The URL parser knows all spellings of an address and writes them in one (RFC 5952, without a dotted end).
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const [before, after] = [groups(head), groups(tail ?? '')]
  const zeros = new Array<string>(8 - before.length - after.length).fill('0')
  return [...before, ...zeros, ...after].reduce((number, group) => (number << 16n) | BigInt(`0x${group}`), 0n)
}

/** First and last address of the subnet that an address with its prefix length is in. */
export function bounds({ family, address, length }: IpPrefix): { first: bigint; last: bigint } {
  const hosts = BigInt(addressBits(family) - length)
  const first = (addressNumber(address) >> hosts) << hosts
  return { first, last: first | ((1n << hosts) - 1n) }
}

/** Whether a host of the subnet can have the address: not the network's own nor, in IPv4, the broadcast address. */
export function isHostOf(prefix: IpPrefix, address: string): boolean {
  if (isIPv4(address) !== (prefix.family === 'inet')) return false
  const { first, last } = bounds(prefix)
  const number = addressNumber(address)
  if (prefix.family === 'inet' && prefix.length < 31) return number > first && number < last
  return number >= first && number <= last
}

/** `255.255.255.0` for 24. */
export function netmask(length: number): string {
  return ipv4Text((0xffffffffn << BigInt(32 - length)) & 0xffffffffn)
}

/** The subnet's own address, `192.0.2.0` of `192.0.2.1/24`. */
export function networkAddress(prefix: IpPrefix): string {
  const { first } = bounds(prefix)
  if (prefix.family === 'inet') return ipv4Text(first)
  const groups = Array.from({ length: 8 }, (_, at) => ((first >> BigInt(112 - 16 * at)) & 0xffffn).toString(16))
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}

export function ipv4Text(number: bigint): string {
  return [24n, 16n, 8n, 0n].map(shift => (number >> shift) & 0xffn).join('.')
}
