/**
 * Fields in network byte order at a position. Byte by byte, which V8 makes as fast as a DataView, and never out of bounds:
 * what lies behind the end of the memory reads 0, and is not written.
 */

export function u8At(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | 0
}

export function u16At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

/** The same bits as `u32At()`, as an integer that V8 never puts into an object of its own. */
export function s32At(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  )
}

export function u32At(bytes: Uint8Array, at: number): number {
  return s32At(bytes, at) >>> 0
}

/** A double holds 53 bits exactly. */
export function u48At(bytes: Uint8Array, at: number): number {
  return u16At(bytes, at) * 0x1_0000_0000 + u32At(bytes, at + 2)
}

export function setU16At(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

export function setU32At(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

export function setU48At(bytes: Uint8Array, at: number, value: number): void {
  setU16At(bytes, at, Math.floor(value / 0x1_0000_0000))
  setU32At(bytes, at + 2, (value % 0x1_0000_0000) | 0)
}
