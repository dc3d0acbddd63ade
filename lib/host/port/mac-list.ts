/** MAC addresses of guests, in one form. */
import { invalidArgument } from '../../errors.js'
import { macNumber, macText } from '../../frames/packet/addresses.js'

const MAC = /^[\da-f]{2}(:[\da-f]{2}){5}$/i

/** One or more unicast addresses, each once. Throws `ERR_INVALID_ARG_VALUE`. */
export function macList(given: string | readonly string[], path: string): string[] {
  const macs = Array.isArray(given) ? given.map((each, at) => unicast(each, `${path}[${at}]`)) : [unicast(given, path)]
  if (macs.length === 0) throw invalidArgument(path, 'at least one MAC address', given)
  return [...new Set(macs)]
}

function unicast(mac: unknown, path: string): string {
  if (typeof mac !== 'string' || !MAC.test(mac)) throw invalidArgument(path, 'a MAC address', mac)
  if (Number.parseInt(mac.slice(0, 2), 16) & 1) throw invalidArgument(path, 'a unicast MAC address', mac)
  return macText(macNumber(mac))
}
