/** What threads this process has. */
import { readdirSync, readFileSync } from 'node:fs'

/** They give themselves their names, a moment after they were started. */
export function threadNames(): string[] {
  return readdirSync('/proc/self/task').flatMap(task => {
    try {
      return [readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim()]
    } catch {
      return []
    }
  })
}
