/** Releases of the kernel, such as `6.18` and `6.1.0-31-amd64`. */
import { release } from 'node:os'

/** Orders two releases by major and minor number; an empty one is the oldest. */
export function compareReleases(a: string, b: string): number {
  const [majorA, minorA] = numbers(a)
  const [majorB, minorB] = numbers(b)
  return majorA - majorB || minorA - minorB
}

/** Whether the running kernel is at least `wanted`. Distributions backport: a "no" may still be a "yes". */
export function kernelAtLeast(wanted: string): boolean {
  return compareReleases(release(), wanted) >= 0
}

function numbers(text: string): [number, number] {
  const [major = '', minor = ''] = text.split('.')
  return [Number.parseInt(major, 10) || 0, Number.parseInt(minor, 10) || 0]
}
