/**
 * Every attribute of a table, both ways: set by us and seen by iproute2 or sysfs, set by iproute2 and seen by us. A table
 * whose attributes have neither a case nor an exception fails.
 */
import { describe, expect, type TestContext } from 'vitest'
import type { AttributeTable, EnsureLink, Link, LinkwrightError } from '../../lib/index.js'
import { atLeast, type Feature, has } from './features.js'
import type { Parsed } from './ip.js'
import { type Namespace, test } from './namespace.js'
import { rawLinkAttribute } from './raw-netlink.js'
import { isDump, traffic } from './trace.js'

/** The second sources for one link. */
export interface Seen {
  link: Parsed
  /** `info_data` of `ip -d -j link` */
  data: Parsed
  /** `info_slave_data` of it */
  port: Parsed
  /** `bridge -d -j link` */
  bridge(): Parsed
  sysfs(file: string): string
  /** Attribute bytes as the kernel sent them, by numbers; only for what the others cannot show. */
  raw(...path: number[]): Promise<Buffer | undefined>
}

export async function see(ns: Namespace, name: string): Promise<Seen> {
  const link = ns.tools.link(name)
  if (!link) throw new Error(`${name} is gone`)
  return {
    link,
    data: link.linkinfo?.info_data ?? {},
    port: link.linkinfo?.info_slave_data ?? {},
    bridge: () => ns.tools.bridgeJson(`link show dev ${name}`)[0],
    sysfs: file => ns.tools.sysfs(`${name}/${file}`),
    raw: (...path) => rawLinkAttribute(ns.net.socket, link.ifindex, path)
  }
}

type Show = (seen: Seen) => unknown

const EMULATED = process.env['LINKWRIGHT_VM'] === '1'

export interface AttributeCase {
  /** What we set: never the kernel's default. */
  value: unknown
  /** Where the second source shows it, and as what (`value` if left out). */
  shows: Show
  shown?: unknown
  /** What iproute2 sets, and what our view reads then (`value` if left out). Left out for what it does not know. */
  ip?: string
  reads?: unknown
  /** What has to be set along with it, by us and by iproute2. */
  beside?: object
  ipBeside?: string
  /** Why it cannot be given at creation. */
  notAtCreation?: string
  /** What the kernel must have; without it the attribute must be refused by a typed error. */
  needs?: Feature
  /** The kernel leaves it out of what it reports while it is off. */
  absentByDefault?: boolean
}

/** A link of a kind, or a port of a bridge. */
export interface Subject {
  title: string
  table: AttributeTable
  /** What the kernel must have, or all is skipped. */
  needs: Feature
  prepare?(ns: Namespace): Promise<unknown>
  create(ns: Namespace, name: string, settings: object): Promise<unknown>
  change(ns: Namespace, name: string, settings: object): Promise<unknown>
  /** What `ensure` is given for a link with these settings. */
  specs(name: string, settings: object): object[]
  /** `ip link set dev NAME <this> <case>`, and `ip link add name NAME <this> <case>` for what is set at creation only. */
  ipType: string
  ipCreate?(name: string, settings: string): string
  view(link: Link): unknown
}

export interface AttributeTests {
  cases: Record<string, AttributeCase>
  /** What the kernel reports and does not take, tested elsewhere in the file. */
  readOnly: readonly string[]
  /** What has no case, and why. */
  exceptions: Record<string, string>
}

const read = (subject: Subject, link: Link, attribute: string): unknown =>
  (subject.view(link) as Record<string, unknown>)[attribute]

/** Waits for what the second source shows: some of it needs a process to have run. */
async function shown(ns: Namespace, name: string, show: Show): Promise<unknown> {
  return show(await see(ns, name))
}

function isMissing(subject: Subject, attribute: string, { needs }: AttributeCase): boolean {
  const since = subject.table[attribute]?.[2]?.since
  return (since !== undefined && !atLeast(since)) || (needs !== undefined && !has(needs))
}

/** Ignored by the kernel, or refused with our explanation. */
const saysMissing = (attribute: string) => (error: LinkwrightError) =>
  error.code === 'ERR_NOT_APPLIED'
    ? error.path?.endsWith(attribute) === true
    : error.code === 'EOPNOTSUPP' && /built without/.test(error.diagnosis ?? '')

export function describeAttributes(subject: Subject, { cases, readOnly, exceptions }: AttributeTests): void {
  describe(`attributes of ${subject.title}`, () => {
    test('each has a case or a reason for having none', () => {
      const covered = [...Object.keys(cases), ...readOnly, ...Object.keys(exceptions)]
      expect(covered.toSorted()).toEqual(Object.keys(subject.table).toSorted())
      for (const [name, [, , options]] of Object.entries(subject.table)) {
        expect(readOnly.includes(name), `${name} is read-only`).toBe(
          options?.readOnly === true && !Object.hasOwn(exceptions, name)
        )
      }
    })

    for (const [attribute, each] of Object.entries(cases)) {
      const createOnly = subject.table[attribute]?.[2]?.createOnly === true
      const settings = { ...each.beside, [attribute]: each.value }
      const expected = 'shown' in each ? each.shown : each.value
      const arrange = async (ns: Namespace, skip: TestContext['skip']) => {
        if (!has(subject.needs)) skip(`this kernel has no ${subject.needs}`)
        await subject.prepare?.(ns)
      }

      test(`${attribute}: set at creation`, async ({ ns, skip }) => {
        await arrange(ns, skip)
        if (each.notAtCreation) skip(each.notAtCreation)
        if (isMissing(subject, attribute, each)) {
          await expect(subject.create(ns, 'a', settings)).rejects.toSatisfy(saysMissing(attribute))
          expect(ns.tools.linkNames()).not.toContain('a')
          return
        }
        await subject.create(ns, 'plain', each.beside ?? {})
        expect(await shown(ns, 'plain', each.shows), 'the value is no default').not.toEqual(expected)
        await subject.create(ns, 'a', settings)
        expect(await shown(ns, 'a', each.shows)).toEqual(expected)
      })

      test(`${attribute}: changed`, async ({ ns, skip }) => {
        await arrange(ns, skip)
        await subject.create(ns, 'a', createOnly ? {} : (each.beside ?? {}))
        if (createOnly) {
          await expect(subject.change(ns, 'a', { [attribute]: each.value })).rejects.toMatchObject({
            code: 'ERR_INVALID_ARG_VALUE',
            path: expect.stringContaining(attribute)
          })
        } else if (isMissing(subject, attribute, each)) {
          await expect(subject.change(ns, 'a', settings)).rejects.toSatisfy(saysMissing(attribute))
        } else {
          expect(await shown(ns, 'a', each.shows), 'the value is no default').not.toEqual(expected)
          await subject.change(ns, 'a', settings)
          expect(await shown(ns, 'a', each.shows)).toEqual(expected)
        }
      })

      // Emulated, what every kernel has would take minutes: there it is tried with the host's alone.
      test.skipIf(EMULATED && !each.needs)(`${attribute}: ensured, and then nothing is sent`, async ({ ns, skip }) => {
        await arrange(ns, skip)
        const ensure = (given: object) =>
          ns.net.links.ensure(subject.specs('a', given) as EnsureLink[], { owner: 'tests' })
        if (each.notAtCreation) {
          await expect(ensure(settings)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
          return
        }
        if (isMissing(subject, attribute, each)) {
          await expect(ensure(settings)).rejects.toSatisfy(saysMissing(attribute))
          expect(ns.tools.linkNames()).not.toContain('a')
          return
        }
        // From a link that has it otherwise, and from none.
        await ensure(createOnly ? {} : (each.beside ?? {}))
        expect(await shown(ns, 'a', each.shows), 'the value is no default').not.toEqual(expected)
        for (const before of ['a link without it', 'no link']) {
          if (before === 'no link') ns.tools.ip('link del dev a')
          expect((await ensure(settings)).steps.length, before).toBeGreaterThan(0)
          expect(await shown(ns, 'a', each.shows), before).toEqual(expected)
          const { result, sent } = await traffic(() => ensure(settings))
          expect(result, before).toMatchObject({ steps: [] })
          expect(sent.map(isDump), before).toEqual([true])
        }
      })

      const { ip } = each
      if (ip === undefined) continue
      test(`${attribute}: read when iproute2 has set it`, async ({ ns, skip }) => {
        await arrange(ns, skip)
        if (isMissing(subject, attribute, each)) skip('this kernel ignores it')
        await subject.create(ns, 'a', each.beside ?? {})
        const reads = 'reads' in each ? each.reads : each.value
        const before = read(subject, await ns.net.links.get('a'), attribute)
        if (!each.absentByDefault) expect(before, 'the kernel reports it').toBeDefined()
        expect(before, 'the value is no default').not.toEqual(reads)
        const command = `${each.ipBeside ?? ''} ${ip}`
        if (createOnly) {
          ns.tools.ip('link del dev a')
          if (!subject.ipCreate) throw new Error('no command to create')
          ns.tools.ip(subject.ipCreate('a', command))
        } else {
          ns.tools.ip(`link set dev a ${subject.ipType} ${command}`)
        }
        expect(read(subject, await ns.net.links.get('a'), attribute)).toEqual(reads)
      })
    }
  })
}
