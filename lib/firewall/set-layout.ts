/** How the keys and values of a set are laid out, by what was asked for or what the kernel says. */
import { invalidArgument } from '../errors.js'
import { DATA_VERDICT } from '../nftables/set.js'
import { concatenatedId, type DataType, setTypes, typesOfId } from './data-types.js'
import { keyLength, type Layout } from './elements.js'
import type { NftSet, SetSpec } from './objects.js'
import { setData } from './userdata.js'

const FLAGS = { interval: 'interval', timeout: 'timeout', constant: 'constant', dynamic: 'eval' } as const

function typeOf(name: string, path: string): DataType {
  return setTypes.get(name) ?? refuse(path, [...setTypes.keys()].join(' | '), name)
}

function refuse(path: string, expected: string, given: unknown): never {
  throw invalidArgument(path, expected, given)
}

export function layoutOf({ type, map, flags = [] }: SetSpec, path: string): Layout {
  const names = [type].flat() as string[]
  if (names.length === 0) throw invalidArgument(`${path}.type`, 'a type', type)
  const key = names.map(name => typeOf(name, `${path}.type`))
  const data = map === undefined || map === 'verdict' ? map : typeOf(map, `${path}.map`)
  const [only] = key
  const interval = flags.includes('interval')
  if (interval && key.length === 1 && only?.hostOrder)
    throw invalidArgument(`${path}.flags`, `no intervals of ${only.name}`, 'interval')
  return { key, interval, data }
}

/** NFTA_SET_* of a new set. */
export function setAttributes(spec: SetSpec, layout: Layout, path: string): Record<string, unknown> {
  const { flags = [], timeout, gcInterval, size, comment } = spec
  const { key, interval, data } = layout
  const named = flags.map(
    (flag, at) => FLAGS[flag] ?? refuse(`${path}.flags[${at}]`, Object.keys(FLAGS).join(' | '), flag)
  )
  const concat = interval && key.length > 1
  const bits = [...named, ...(data ? ['map'] : []), ...(concat ? ['concat'] : []), ...(timeout ? ['timeout'] : [])]
  return {
    flags: Object.fromEntries(bits.map(bit => [bit, true])),
    keyType: concatenatedId(key),
    keyLen: keyLength(key),
    ...(data === 'verdict' ? { dataType: DATA_VERDICT } : data ? { dataType: data.id, dataLen: data.size } : {}),
    ...(size !== undefined || concat
      ? { desc: { size, ...(concat ? { concat: key.map(type => ({ len: type.size })) } : {}) } }
      : {}),
    timeout,
    gcInterval,
    userdata: setData(isHostOrder(key), data && data !== 'verdict' ? isHostOrder([data]) : undefined, comment)
  }
}

function isHostOrder(key: readonly DataType[]): boolean {
  const [only] = key
  return key.length === 1 && only?.hostOrder === true
}

/** The layout that the kernel says a set has; `undefined` where a type is not known here. */
export function layoutIn(set: {
  keyType?: unknown
  keyLen?: unknown
  dataType?: unknown
  flags?: unknown
}): Layout | undefined {
  const key = typesOfId(Number(set.keyType ?? 0))
  const { interval = false, map = false } = (set.flags ?? {}) as { interval?: boolean; map?: boolean }
  if (!key || keyLength(key) !== Number(set.keyLen)) return undefined
  if (!map) return { key, interval }
  if (set.dataType === DATA_VERDICT) return { key, interval, data: 'verdict' }
  const [data, ...others] = typesOfId(Number(set.dataType ?? 0)) ?? []
  return data && others.length === 0 ? { key, interval, data } : undefined
}

/** The layout of a set that was read. */
export function layoutFromNames({ type, map, flags }: NftSet): Layout | undefined {
  const key = type?.map(name => setTypes.get(name))
  const data = map === undefined || map === 'verdict' ? map : setTypes.get(map)
  if (!key || key.includes(undefined) || (map !== undefined && data === undefined)) return undefined
  return { key: key as DataType[], interval: flags.includes('interval'), data }
}
