/** Times in hundredths of a second (clock_t), which the kernel keeps in ticks of its own (CONFIG_HZ). */
import { u32, u64 } from '../codec/integers.js'

/**
 * Where a tick is not a whole number of hundredths, an odd number of them is rounded down on its way through the kernel:
 * with 250 ticks a second 333 becomes 332.
 */
function isSame(wanted: unknown, got: unknown): boolean {
  const difference = Number(wanted) - Number(got)
  return difference === 0 || (difference === 1 && Number(wanted) % 2 === 1)
}

export const clock32: typeof u32 = { ...u32, isSame }
export const clock64: typeof u64 = { ...u64, isSame }
