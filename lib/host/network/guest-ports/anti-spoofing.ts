/** The step that holds a guest to who it is, and what of the ruleset goes with its way back: the port's own elements. */
import { constants } from 'node:os'
import { changeText } from '../../../firewall/change-text.js'
import { type Change as NftChange, setKey } from '../../../firewall/changes.js'
import type { Element } from '../../../firewall/elements.js'
import type { ElementsSpec, Ruleset } from '../../../firewall/objects.js'
import { layoutOf } from '../../../firewall/set-layout.js'
import { batchOf } from '../../../firewall/transaction.js'
import { altnamesRequest, changeRequest } from '../../../link/link-requests.js'
import { differences, SpoofingGuard } from '../../port/anti-spoofing/anti-spoofing.js'
import { byPort, type Elements, elementsOf, markIn } from '../../port/anti-spoofing/elements.js'
import { marksOf, newMark } from '../../port/anti-spoofing/mark.js'
import { identityOf } from '../../port/anti-spoofing/options.js'
import { IN_TABLE, SET_NAMES, SETS, TABLE, tableChanges } from '../../port/anti-spoofing/table.js'
import { type Change, type Step, send } from '../../step.js'
import type { Operation } from '../../way-back.js'
import { EEXIST, EINVAL, ENOENT, type PartOfPlan, type Port, takingBack } from './port.js'

const { EBUSY } = constants.errno
const NETLINK_NETFILTER = 12

/** What the ruleset has of ports. */
export interface Table {
  readonly there: boolean
  readonly ports: ReadonlyMap<number, Elements>
  /** One of the name that is not ours, or not as we made it. */
  readonly taken: boolean
}

const RULES = tableChanges().filter(change => 'add' in change && 'rule' in change.add).length

export function tableIn(ruleset: Ruleset | undefined): Table {
  const own = <T extends { family: string; table: string }>(list: readonly T[]) =>
    list.filter(({ family, table }) => family === TABLE.family && table === TABLE.name)
  const there = ruleset?.tables.some(({ family, name }) => family === TABLE.family && name === TABLE.name) ?? false
  const sets = own(ruleset?.sets ?? [])
  const isWhole =
    SET_NAMES.every(name => sets.some(set => set.name === name)) && own(ruleset?.rules ?? []).length === RULES
  const taken = there && !isWhole
  return { there, ports: there && !taken ? byPort(sets) : new Map(), taken }
}

export interface SpoofingPart extends PartOfPlan {
  /** Whether the port is guarded then; `undefined` for one that is left as it is. */
  readonly guarded: boolean | undefined
}

/** @param table is told what the plan makes of it: the first port brings it along */
export function spoofingSteps(port: Port, table: Table & { planned?: boolean }): SpoofingPart {
  const { link, index, settings } = port
  const wanted = settings.antiSpoofing
  if (wanted === undefined) return { steps: [], conflicts: [], guarded: undefined }
  if (table.taken) {
    const message = `the table ${TABLE.family} ${TABLE.name} is not as it is made here: its sets or rules are others`
    return { steps: [], conflicts: [{ code: 'table-taken', message, about: TABLE.name }], guarded: undefined }
  }
  const marks = link ? marksOf(link) : []
  const before = ofLife(table.ports.get(index), marks)
  const mark = (before && markIn(before)) ?? marks[0] ?? newMark()
  const elements = wanted ? elementsOf(index, identityOf(wanted), mark) : undefined
  const changes = differences(before, elements)
  const guarded = wanted !== null
  const marking = wanted && marks.length === 0 ? [marked(port, mark)] : []
  const unmarking = !wanted && before ? marks.map(each => marked(port, each)) : []
  if (changes.length === 0 && marking.length === 0) return { steps: [], conflicts: [], guarded }
  const making = wanted && !table.there && !table.planned ? tableChanges() : []
  if (wanted) table.planned = true
  const step: Step = {
    name: 'anti-spoofing',
    commands: [
      ...[...marking.map(({ on }) => on), ...unmarking.map(({ off }) => off)].map(({ command }) => command),
      ...[...making, ...changes].map(change => commandOf(change, port))
    ],
    back: [
      // It goes, and sends nothing meanwhile.
      ...takingBack(link ? [] : [down(port)]),
      ...takingBack([...marking.map(({ off }) => off), ...unmarking.map(({ on }) => on)]),
      ...backTo(before, elements)
    ],
    async apply({ net }) {
      // Rules without their mark would be those of an earlier link, and such a one is not missed by whoever looks after it.
      await send(net, [...marking.map(({ on }) => on), ...unmarking.map(({ off }) => off)])
      const guard = await SpoofingGuard.open(net)
      try {
        await guard.put(index, elements)
      } finally {
        guard.close()
      }
    }
  }
  return { steps: [step], conflicts: [], guarded }
}

/** With the name of the link, which nft makes the ifindex of. */
function commandOf(change: NftChange, { index, name }: Port): string {
  const named = (spec: ElementsSpec) => {
    const elements = spec.elements.map(each => ({ ...each, key: withName(each.key) }))
    return { elements: { ...spec, elements } }
  }
  const withName = (key: Element['key']) => {
    const [first, ...rest] = [key].flat()
    return first === index ? [name, ...rest] : key
  }
  const said: NftChange =
    'delete' in change && 'elements' in change.delete
      ? { delete: named(change.delete.elements) }
      : 'add' in change && 'elements' in change.add
        ? { add: named(change.add.elements) }
        : change
  return `nft '${changeText(said)}'`
}

/** Of an earlier life of the ifindex nothing is given back. */
function ofLife(elements: Elements | undefined, marks: readonly string[]): Elements | undefined {
  const mark = elements && markIn(elements)
  return mark !== undefined && marks.includes(mark) ? elements : undefined
}

const down = ({ index, name }: Port): Change => {
  return { request: changeRequest(index, { up: false }), command: `ip link set dev ${name} down` }
}

type Told = Change & { readonly command: string }

function marked({ index, name }: Port, mark: string): { on: Told; off: Told } {
  const command = (verb: string) => `ip link property ${verb} dev ${name} altname ${mark}`
  const request = (verb: 'RTM_NEWLINKPROP' | 'RTM_DELLINKPROP') => altnamesRequest(verb, index, [mark])
  return {
    on: { request: request('RTM_NEWLINKPROP'), command: command('add'), settled: [EEXIST] },
    off: { request: request('RTM_DELLINKPROP'), command: command('del'), settled: [ENOENT, EINVAL] }
  }
}

const LAYOUTS = () =>
  new Map(
    SET_NAMES.map(name => [setKey(IN_TABLE, name), layoutOf({ ...IN_TABLE, name, ...SETS[name] } as never, name)])
  )

function operation(changes: readonly NftChange[], settled: readonly number[]): Operation {
  return {
    op: 'netlink',
    protocol: NETLINK_NETFILTER,
    requests: batchOf(changes, LAYOUTS()),
    atomic: true,
    command: changes.map(change => `nft '${changeText(change)}'`).join('; '),
    settled
  }
}

/**
 * Element by element, as somebody may have changed some of them meanwhile. What was there before comes back first, so that
 * at no moment anything passes that neither of them allows.
 */
function backTo(before: Elements | undefined, elements: Elements | undefined): Operation[] {
  const gone: Operation[] = []
  const come: Operation[] = []
  for (const change of differences(elements, before)) {
    if ('delete' in change && 'elements' in change.delete) {
      const { set, elements: all } = change.delete.elements
      gone.push(...all.map(each => operation([{ delete: { elements: one(set, each) } }], [ENOENT])))
    } else if ('add' in change && 'elements' in change.add) {
      const { set, elements: all } = change.add.elements
      come.push(...all.map(each => operation([{ add: { elements: one(set, each) } }], [EEXIST])))
    }
  }
  const made = come.length > 0 ? [operation(tableChanges(), [EEXIST])] : []
  return [...made, ...come, ...gone, ...(before ? [] : [removingTable()])]
}

const one = (set: string, element: Element) => ({ ...IN_TABLE, set, elements: [element] })

/** Unless other ports have come into it: the chain that their elements go to cannot be deleted then (EBUSY). */
function removingTable(): Operation {
  const chain = { ...IN_TABLE, name: 'guest' }
  return operation([{ delete: { chain } }, { delete: { table: TABLE } }], [ENOENT, EBUSY])
}
