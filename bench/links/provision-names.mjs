// Names, addresses and places of the links that are provisioned: what subjects ask for and the kernel must show.
/** TAPs of a bridge, macvtaps of a lower device. */
export const TOGETHER = 1_000
export const PORTS_BESIDE = 10
export const TAP_MTU = 1_400

const range = (count, of) => Array.from({ length: count }, (_, i) => of(i))
const byte = number => (number & 255).toString(16).padStart(2, '0')

export const taps = count =>
  range(count, i => ({
    name: `tap${i}`,
    master: `br${Math.floor(i / TOGETHER)}`,
    mtu: TAP_MTU,
    address: `02:74:00:00:${byte(i >> 8)}:${byte(i)}`
  }))

export const macvtaps = count => range(count, i => ({ name: `mvt${i}`, link: `lower${Math.floor(i / TOGETHER)}` }))

export const veths = count => range(count, i => ({ name: `veth${i}`, peer: `peer${i}` }))

export const bridges = count => range(count, i => ({ name: `br${i}` }))

export const portsBeside = count =>
  range(count * PORTS_BESIDE, i => ({ name: `port${i}`, master: `br${Math.floor(i / PORTS_BESIDE)}` }))
