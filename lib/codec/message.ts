/** Messages of a family: a fixed header struct, then attributes. */
import { type AttributeTable, attributes, type Change, type In, type Out, plain, viewBytes } from './attributes.js'
import type { AnyCodec, Located } from './codec.js'
import { zeroExtended } from './short.js'
import type { StructCodec, StructIn, StructOut } from './struct.js'
import type { Writer } from './writer.js'

type Fields = Record<string, AnyCodec & { readonly size: number }>

export type MessageIn<F extends Fields, T extends AttributeTable> = StructIn<F> & In<T>
export type MessageChange<F extends Fields, T extends AttributeTable> = StructIn<F> & Change<T>
export type MessageOut<F extends Fields, T extends AttributeTable> = Readonly<StructOut<F>> & Out<T>

export interface MessageSchema<F extends Fields, T extends AttributeTable> {
  readonly header: StructCodec<F>
  /** Bytes from the beginning of the payload to the first attribute. */
  readonly headerLength: number
  readonly attributes: T
  /** Class of the views: a getter per header field and per attribute. */
  readonly View: new (
    data: DataView,
    start: number,
    end: number,
    row?: number
  ) => MessageOut<F, T>
  /** Writes header and attributes. */
  write(writer: Writer, value: MessageIn<F, T>): void
  /** A view of the payload of a netlink message. */
  read(data: DataView, start: number, end: number): MessageOut<F, T>
  /** The path of the attribute at `target`; start and end are those of the payload. */
  locate(data: DataView, start: number, end: number, target: number): Located | undefined
  nameOf(id: number): string | undefined
}

/** A {@link MessageSchema} of whatever message: what sending it and explaining a refusal takes. */
export interface Schema {
  /** Bytes from the beginning of the payload to the first attribute. */
  readonly headerLength: number
  write(writer: Writer, value: object): void
  read(data: DataView, start: number, end: number): { toJSON(): Record<string, unknown> }
  locate(data: DataView, start: number, end: number, target: number): Located | undefined
  nameOf(id: number): string | undefined
  /** The path of the caller's option that becomes the attribute at `path`, where the two differ. */
  optionOf?(path: string): string
}

/** Headers have the same names as attributes nowhere: both are properties of one object. */
export function message<F extends Fields, const T extends AttributeTable>(
  header: StructCodec<F>,
  table: T
): MessageSchema<F, T> {
  const body = attributes(table)
  const headerLength = (header.size + 3) & ~3
  const fields = Object.keys(header.fields).filter(field => !field.startsWith('_'))
  const fieldSet: ReadonlySet<string> = new Set(fields)

  class View extends (body.View as new (
    data: DataView,
    start: number,
    end: number,
    row?: number
  ) => Out<AttributeTable>) {
    constructor(data: DataView, start: number, end: number, row?: number) {
      if (end - start < headerLength) {
        // Cut off: what is missing of the header reads 0.
        super(zeroExtended(data, start, end - start, headerLength), headerLength, headerLength)
      } else super(data, start + headerLength, end, row)
    }

    override toJSON(): Record<string, unknown> {
      const { data, start } = viewBytes(this)
      return { ...(plain(header.read(data, start - headerLength, header.size)) as object), ...super.toJSON() }
    }
  }
  for (const field of fields) {
    Object.defineProperty(View.prototype, field, {
      enumerable: true,
      configurable: true,
      get(this: View) {
        const { data, start } = viewBytes(this)
        return header.field(data, start - headerLength, field)
      }
    })
  }

  return {
    header,
    headerLength,
    attributes: table,
    View: View as unknown as MessageSchema<F, T>['View'],
    write(writer, value) {
      header.writeFields(writer, value)
      writer.align()
      body.writeAttributes(writer, value, fieldSet)
    },
    read(data, start, end) {
      return new this.View(data, start, end)
    },
    locate: (data, start, end, target) => body.locate(data, start + headerLength, end, target),
    nameOf: id => Object.entries(table).find(([, entry]) => entry[0] === id)?.[0]
  }
}
