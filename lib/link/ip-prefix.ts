/** Addresses with a prefix length, `192.0.2.1/24`. */
import { isIP } from 'node:net'
import { invalidArgument } from '../errors.js'
import { familyOf, type IpFamily } from '../rtnetlink/family.js'

export interface IpPrefix {
  family: IpFamily
  address: string
  length: number
}

/** Bits of an address. */
export function addressBits(family: IpFamily): number {
  return family === 'inet' ? 32 : 128
}

/** Takes `address/length` apart; without a length it is a host's. */
export function parsePrefix(text: string, path: string): IpPrefix {
  const [address = '', length, ...rest] = String(text).split('/')
  if (typeof text !== 'string' || isIP(address) === 0 || address.includes('%') || rest.length > 0) {
    throw invalidArgument(path, 'an IP address, with or without a prefix length (192.0.2.1/24)', text)
  }
  const family = familyOf(address)
  const bits = addressBits(family)
  const number = length === undefined ? bits : Number(length)
  if ((length !== undefined && !/^\d{1,3}$/.test(length)) || number > bits) {
    throw invalidArgument(path, `a prefix length from 0 to ${bits}`, text)
  }
  return { family, address, length: number }
}
