/** What nf_tables can be asked, NFT_MSG_* of linux/netfilter/nf_tables.h, and which schema each message has. */
import type { Schema } from '../codec/message.js'
import { batchMessage } from './batch.js'
import { chainMessage } from './chain.js'
import { generationMessage } from './generation.js'
import { ruleMessage } from './rule.js'
import { setMessage } from './set.js'
import { setElementsMessage } from './set-element.js'
import { tableMessage } from './table.js'

/** NFNL_SUBSYS_NFTABLES */
export const NFNL_SUBSYS_NFTABLES = 10

export const NFT_MSG = {
  NFT_MSG_NEWTABLE: 0,
  NFT_MSG_GETTABLE: 1,
  NFT_MSG_DELTABLE: 2,
  NFT_MSG_NEWCHAIN: 3,
  NFT_MSG_GETCHAIN: 4,
  NFT_MSG_DELCHAIN: 5,
  NFT_MSG_NEWRULE: 6,
  NFT_MSG_GETRULE: 7,
  NFT_MSG_DELRULE: 8,
  NFT_MSG_NEWSET: 9,
  NFT_MSG_GETSET: 10,
  NFT_MSG_DELSET: 11,
  NFT_MSG_NEWSETELEM: 12,
  NFT_MSG_GETSETELEM: 13,
  NFT_MSG_DELSETELEM: 14,
  NFT_MSG_NEWGEN: 15,
  NFT_MSG_GETGEN: 16,
  /** Since 6.3, as the others of their kind. */
  NFT_MSG_DESTROYTABLE: 26,
  NFT_MSG_DESTROYCHAIN: 27,
  NFT_MSG_DESTROYRULE: 28,
  NFT_MSG_DESTROYSET: 29,
  NFT_MSG_DESTROYSETELEM: 30
} as const

/** The brackets of a transaction. */
export const NFNL_MSG = { NFNL_MSG_BATCH_BEGIN: 0x10, NFNL_MSG_BATCH_END: 0x11 } as const

export type NftVerb = keyof typeof NFT_MSG

/** The netlink type of a message of nf_tables: subsystem and number. */
export function nftType(verb: NftVerb): number {
  return (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG[verb]
}

const schemas: Record<string, Schema> = {
  TABLE: tableMessage,
  CHAIN: chainMessage,
  RULE: ruleMessage,
  SET: setMessage,
  SETELEM: setElementsMessage,
  GEN: generationMessage
}

const byType = new Map<number, { name: string; schema: Schema | undefined }>([
  ...Object.keys(NFT_MSG).map(name => {
    const schema = schemas[name.replace(/^NFT_MSG_(NEW|GET|DEL|DESTROY)/, '')]
    return [nftType(name as NftVerb), { name, schema }] as const
  }),
  ...Object.entries(NFNL_MSG).map(([name, type]) => [type, { name, schema: batchMessage }] as const)
])

/** The protocol NETLINK_NETFILTER, as far as nf_tables goes. */
export const netfilter = {
  name: 'NETLINK_NETFILTER',
  number: 12,
  verbOf: (type: number): string => byType.get(type)?.name ?? `NFNL ${type >> 8}:${type & 0xff}`,
  schemaOf: (type: number): Schema | undefined => byType.get(type)?.schema
}
