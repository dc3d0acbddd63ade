/** Reads the ruleset, or parts of it, as it was at one moment. */

import type { Schema } from '../codec/message.js'
import { LinkwrightError } from '../errors.js'
import { NLM_F_DUMP } from '../netlink/constants.js'
import type { Message } from '../netlink/framing.js'
import { encodeRequest } from '../netlink/request.js'
import type { CallOptions, NetlinkSocket } from '../netlink/socket.js'
import { chainMessage } from '../nftables/chain.js'
import { generationMessage } from '../nftables/generation.js'
import { type NftVerb, nftType } from '../nftables/messages.js'
import { ruleMessage } from '../nftables/rule.js'
import { setMessage } from '../nftables/set.js'
import { setElementsMessage } from '../nftables/set-element.js'
import { tableMessage } from '../nftables/table.js'
import type { Family } from './dependencies.js'
import type { RawElement } from './elements.js'
import type { Chain, NftSet, Rule, Ruleset, Table } from './objects.js'
import { chainIn, elementsIn, ruleIn, setIn, tableIn } from './reading.js'

export interface ListFilter extends CallOptions {
  family?: Family | undefined
  table?: string | undefined
}

export interface RuleFilter extends ListFilter {
  chain?: string | undefined
}

/** Attempts at a ruleset that others keep changing. */
const ATTEMPTS = 16

/** What a change in the middle of reading looks like: a dump that broke off, or something that has gone meanwhile. */
const DISTURBED: ReadonlySet<string> = new Set(['EINTR', 'ENOENT', 'ERR_DUMP_INTERRUPTED'])

export class Listing {
  constructor(
    readonly socket: NetlinkSocket,
    readonly options: CallOptions
  ) {}

  async generation(): Promise<number> {
    const request = encodeRequest('NFT_MSG_GETGEN', nftType('NFT_MSG_GETGEN'), generationMessage as Schema, {})
    const [reply] = await this.socket.request(request, this.options)
    const id = reply && generationMessage.read(reply.data, reply.start, reply.end).id
    if (id === undefined) throw new LinkwrightError('no generation in the answer', { code: 'ERR_UNEXPECTED_REPLY' })
    return id
  }

  /** Reads until nobody has changed anything meanwhile. */
  async consistent<T>(read: () => Promise<T>): Promise<{ generation: number; value: T }> {
    for (let attempt = 1; ; attempt++) {
      const generation = await this.generation()
      let disturbance: unknown
      try {
        const value = await read()
        if ((await this.generation()) === generation) return { generation, value }
      } catch (error) {
        if (!(error instanceof LinkwrightError) || !DISTURBED.has(error.code)) throw error
        // It is not there, and that has nothing to do with changes.
        if (error.code === 'ENOENT' && (await this.generation()) === generation) throw error
        disturbance = error
      }
      if (attempt === ATTEMPTS) {
        throw new LinkwrightError(
          `the ruleset changed during each of ${attempt} attempts to read it; ask again when it is calmer`,
          {
            code: 'ERR_DUMP_INTERRUPTED',
            cause: disturbance
          }
        )
      }
    }
  }

  async tables(filter: ListFilter): Promise<Table[]> {
    const tables = (await this.#dump('NFT_MSG_GETTABLE', tableMessage as Schema, filter, {})).map(tableIn)
    return tables.filter(({ name }) => filter.table === undefined || name === filter.table)
  }

  async chains(filter: ListFilter): Promise<Chain[]> {
    const chains = (await this.#dump('NFT_MSG_GETCHAIN', chainMessage as Schema, filter, {})).map(chainIn)
    return chains.filter(({ table }) => filter.table === undefined || table === filter.table)
  }

  async sets(filter: ListFilter, elements: boolean): Promise<NftSet[]> {
    const { table } = filter
    const messages = await this.#dump('NFT_MSG_GETSET', setMessage as Schema, filter, {})
    const sets: NftSet[] = []
    for (const message of messages) {
      const set = setIn(message, undefined)
      if (table !== undefined && set.table !== table) continue
      sets.push(elements ? setIn(message, await this.elements(set)) : set)
    }
    return sets
  }

  async elements({ family, table, name }: Pick<NftSet, 'family' | 'table' | 'name'>): Promise<RawElement[]> {
    const value = { table, set: name }
    const messages = await this.#dump('NFT_MSG_GETSETELEM', setElementsMessage as Schema, { family }, value)
    return messages.flatMap(elementsIn)
  }

  /** @param sets with the elements of those that belong to rules */
  async rules(filter: RuleFilter, sets: readonly NftSet[]): Promise<Rule[]> {
    const { table, chain } = filter
    const value = {
      ...(table === undefined ? {} : { table }),
      ...(chain === undefined || table === undefined ? {} : { chain })
    }
    const messages = await this.#dump('NFT_MSG_GETRULE', ruleMessage as Schema, filter, value)
    const own = new Map(
      sets.filter(set => set.anonymous).map(set => [JSON.stringify([set.family, set.table, set.name]), set.raw])
    )
    const rules = messages.map(message => {
      const family = ruleMessage.read(message.data, message.start, message.end).family
      return ruleIn(message, rule => name => own.get(JSON.stringify([family, rule.table, name])))
    })
    return rules.filter(
      rule => (table === undefined || rule.table === table) && (chain === undefined || rule.chain === chain)
    )
  }

  /** The sets that belong to rules, with their elements. */
  async ownSets(filter: ListFilter): Promise<NftSet[]> {
    const { table } = filter
    const messages = await this.#dump('NFT_MSG_GETSET', setMessage as Schema, filter, {})
    const sets: NftSet[] = []
    for (const message of messages) {
      const set = setIn(message, undefined)
      if (set.anonymous && (table === undefined || set.table === table))
        sets.push(setIn(message, await this.elements(set)))
    }
    return sets
  }

  async ruleset(filter: ListFilter): Promise<Ruleset> {
    const { generation, value } = await this.consistent(async () => {
      const tables = await this.tables(filter)
      const chains = await this.chains(filter)
      const sets = await this.sets(filter, true)
      return { tables, chains, rules: await this.rules(filter, sets), sets: sets.filter(set => !set.anonymous) }
    })
    return { generation, ...value }
  }

  async #dump(
    verb: NftVerb,
    schema: Schema,
    filter: { family?: Family | undefined },
    value: object
  ): Promise<Message[]> {
    const request = encodeRequest(
      verb,
      nftType(verb),
      schema,
      { family: filter.family ?? 'unspec', ...value },
      {
        flags: NLM_F_DUMP,
        link: Object.values(value).join(' ') || undefined
      }
    )
    return await this.socket.dump(request, this.options)
  }
}
