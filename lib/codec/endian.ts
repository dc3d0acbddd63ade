/** Netlink speaks the byte order of the machine. */
import { endianness } from 'node:os'

export const hostLittleEndian = endianness() === 'LE'
