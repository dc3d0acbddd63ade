/** Namespaces with a name, gone with the test. */
import { onTestFinished } from 'vitest'
import { ip, run } from './system.js'

let count = 0

export function createNetns(): string {
  const name = `lw-tap-${process.pid}-${count++}`
  run('ip', 'netns', 'add', name)
  onTestFinished(() => {
    run('ip', 'netns', 'delete', name)
  })
  ip(name, 'link', 'set', 'lo', 'up')
  return name
}
