/** Values that came shorter than their layout. */

/** A copy of `length` bytes with zeros behind them, to read `size` from: what an older kernel did not send reads 0. */
export function zeroExtended(data: DataView, offset: number, length: number, size: number): DataView {
  const copy = new Uint8Array(size)
  copy.set(new Uint8Array(data.buffer, data.byteOffset + offset, Math.max(0, length)))
  return new DataView(copy.buffer)
}
