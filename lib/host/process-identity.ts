/** A process by its number and its start: the number alone may be another's later. */
import { readFileSync } from 'node:fs'

export interface ProcessIdentity {
  readonly pid: number
  /** Field 22 of `/proc/PID/stat`, in clock ticks since the boot. */
  readonly startTime: number
}

/** `undefined` where there is no such process. */
export function processOf(pid: number): ProcessIdentity | undefined {
  const fields = fieldsOf(pid)
  return fields && { pid, startTime: fields.startTime }
}

/** Whether it still runs; one that only waits to be reaped does not. */
export function isRunning({ pid, startTime }: ProcessIdentity): boolean {
  const fields = fieldsOf(pid)
  return fields !== undefined && fields.startTime === startTime && !'ZX'.includes(fields.state)
}

function fieldsOf(pid: number): { state: string; startTime: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may have any characters; what follows it begins with field 3.
    const words = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state: words[0] ?? '', startTime: Number(words[19]) }
  } catch {
    return undefined
  }
}
