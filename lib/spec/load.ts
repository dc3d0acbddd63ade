/** A spec of networks from a file. */
import { readFile } from 'node:fs/promises'
import { LinkwrightError, nativeError } from '../errors.js'
import { checkSpec } from '../host/network/check-spec.js'
import type { NetworksSpec } from '../host/network/spec.js'
import { networksSchema } from './schema.js'
import { type Place, Source } from './source.js'

/**
 * Reads a spec of networks, YAML or JSON.
 *
 * @throws LinkwrightError `ENOENT` and the like; `ERR_INVALID_SPEC` with what is wrong, a line each:
 * `net.yaml:7:9: networks.virbr0.addresses[0]: expected …`
 */
export async function loadSpec(path: string): Promise<NetworksSpec> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw nativeError(error, { link: path })
  }
  return parseSpec(text, path)
}

/**
 * The same from text.
 *
 * @param name of the text in messages
 */
export function parseSpec(text: string, name = 'spec'): NetworksSpec {
  const source = new Source(text)
  if (source.errors.length > 0) throw invalid(name, source.errors)
  const parsed = networksSchema.safeParse(source.value)
  const { networks } = (source.value ?? {}) as { networks?: object }
  // A name that the schema passes over, lest it becomes an object's prototype.
  if (networks && Object.hasOwn(networks, '__proto__')) {
    const path = 'networks.__proto__'
    throw invalid(name, [{ ...source.at(path, 'key'), path, message: 'no network can have this name' }])
  }
  if (!parsed.success)
    throw invalid(
      name,
      parsed.error.issues.flatMap(issue => placesOf(issue, source))
    )
  try {
    checkSpec(parsed.data)
  } catch (error) {
    const { code, path = '', message } = error as LinkwrightError
    if (code !== 'ERR_INVALID_ARG_VALUE') throw error
    throw invalid(name, [{ ...source.at(path), path, message: message.replace(`${path}: `, '') }])
  }
  return parsed.data
}

interface Fault extends Place {
  readonly path: string
  readonly message: string
}

type Issue = NonNullable<ReturnType<typeof networksSchema.safeParse>['error']>['issues'][number]

function placesOf(issue: Issue, source: Source, above: readonly PropertyKey[] = []): Fault[] {
  const path = textOf([...above, ...issue.path])
  if (issue.code === 'invalid_union') {
    const inner = nearest(issue.errors)
    if (inner.length > 0) return inner.flatMap(each => placesOf(each, source, [...above, ...issue.path]))
  }
  if (issue.code !== 'unrecognized_keys') return [{ ...source.at(path), path, message: issue.message }]
  return issue.keys.map(key => {
    const own = path === '' ? key : `${path}.${key}`
    return { ...source.at(own, 'key'), path: own, message: 'there is no such option' }
  })
}

/** What is wrong by the one of several shapes that the value comes next to: where that is further inside. */
function nearest(shapes: readonly (readonly Issue[])[]): readonly Issue[] {
  const isInside = (issue: Issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys'
  return shapes.find(issues => issues.some(isInside)) ?? []
}

function textOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text === '' ? String(part) : `${text}.${String(part)}`
  }, '')
}

function invalid(name: string, faults: readonly Fault[]): LinkwrightError {
  const lines = faults.map(({ line, column, path, message }) => {
    return `${name}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`
  })
  return new LinkwrightError(lines.join('\n'), { code: 'ERR_INVALID_SPEC', path: faults[0]?.path })
}
