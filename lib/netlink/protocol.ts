/** What a netlink socket has to know of the protocol that it speaks. */
import type { Schema } from '../codec/message.js'

/** A netlink protocol: its number, and names and layouts of its messages. */
export interface Protocol {
  readonly name: string
  readonly number: number
  verbOf(type: number): string
  schemaOf(type: number): Schema | undefined
}
