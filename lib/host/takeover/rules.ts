/** Policy rules that name the NIC, for the link that takes over: `struct fib_rule_hdr` and FRA_* of linux/fib_rules.h. */
import { constants } from 'node:os'
import { hostLittleEndian } from '../../codec/endian.js'
import type { Netlink } from '../../link/netlink.js'
import { NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL } from '../../netlink/constants.js'
import { rawRequest, replaced, type Told, toldIn, u32, u32At, viewOf } from '../rewriting.js'
import type { Change } from '../step.js'

const { EEXIST, ENOENT } = constants.errno

const RTM_NEWRULE = 32
const RTM_DELRULE = 33
const RTM_GETRULE = 34
const HEADER = 12
const FAMILIES = { '': 2, '-6 ': 10 }

const IIFNAME = 3
const PRIORITY = 6
const OIFNAME = 17
/** FIB_RULE_INVERT; the other flags tell of a state. */
const INVERT = 0x2

export interface Rule extends Told {
  /** `` or `-6 `: what `ip` needs. */
  readonly family: string
}

/** Rules whose iif or oif is the link. They name it, so they hold for whatever has the name. */
export async function rulesNaming(net: Netlink, name: string): Promise<Rule[]> {
  const rules: Rule[] = []
  for (const [family, number] of Object.entries(FAMILIES)) {
    const header = new Uint8Array(HEADER)
    header[0] = number
    const request = rawRequest('RTM_GETRULE', RTM_GETRULE, NLM_F_DUMP, header, [], undefined)
    for (const { data, start, end } of await net.socket.dump(request)) {
      rules.push({ ...toldIn(data, start, end, HEADER), family })
    }
  }
  return rules.filter(({ attributes }) =>
    attributes.some(({ type, payload }) => (type === IIFNAME || type === OIFNAME) && textOf(payload) === name)
  )
}

export function addingRule(rule: Rule, from: string, to: string): Change {
  const { header, attributes } = told(rule, from, to)
  return {
    request: rawRequest('RTM_NEWRULE', RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, header, attributes, to),
    command: `ip ${rule.family}rule add ${words(rule, from, to)}`,
    settled: [EEXIST]
  }
}

export function removingRule(rule: Rule, from: string, to: string): Change {
  const { header, attributes } = told(rule, from, to)
  return {
    request: rawRequest('RTM_DELRULE', RTM_DELRULE, 0, header, attributes, to),
    command: `ip ${rule.family}rule del ${words(rule, from, to)}`,
    settled: [ENOENT]
  }
}

/** Whether a rule is the one that another becomes. */
export function isRule(rule: Rule, wanted: Rule, from: string, to: string): boolean {
  return printOfRule(rule, to) === print(told(wanted, from, to))
}

/** A rule that names a link, as a text for comparisons. */
export const printOfRule = (rule: Rule, name: string): string => print(told(rule, name, name))

function print({ header, attributes }: Told): string {
  return [header, ...attributes.map(({ type, payload }) => Buffer.concat([u32(type), payload]))]
    .map(bytes => Buffer.from(bytes).toString('hex'))
    .sort()
    .join(' ')
}

function told({ header, attributes }: Rule, from: string, to: string): Told {
  const copy = header.slice()
  const data = viewOf(copy)
  data.setUint32(8, data.getUint32(8, hostLittleEndian) & INVERT, hostLittleEndian)
  const by = new Map<number, Uint8Array | undefined>()
  for (const { type, payload } of attributes) {
    if ((type === IIFNAME || type === OIFNAME) && textOf(payload) === from) by.set(type, Buffer.from(`${to}\0`))
  }
  // The kernel leaves out 0, and draws one where it is left out.
  if (!attributes.some(({ type }) => type === PRIORITY)) by.set(PRIORITY, u32(0))
  return { header: copy, attributes: replaced(attributes, by) }
}

const textOf = (payload: Uint8Array): string => Buffer.from(payload).toString('utf8').replace(/\0.*$/s, '')

/** What identifies it for a reader; the rest is as it was. */
function words({ attributes, header }: Rule, from: string, to: string): string {
  const number = (type: number) => attributes.find(each => each.type === type)?.payload
  const named = (type: number, word: string) => {
    const payload = number(type)
    if (!payload) return []
    const name = textOf(payload)
    return [word, name === from ? to : name]
  }
  const priority = number(PRIORITY)
  const table = number(15)
  return [
    ...named(IIFNAME, 'iif'),
    ...named(OIFNAME, 'oif'),
    'priority',
    String(priority ? u32At(priority) : 0),
    'table',
    String(table ? u32At(table) : header[4])
  ].join(' ')
}
