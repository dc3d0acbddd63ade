/** `npm test`: the tests here, and beside them those in the virtual machine, whose output follows when the others are done. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

function start(script, stdio) {
  const child = spawn(process.execPath, [fileURLToPath(new URL(script, import.meta.url))], { stdio })
  const ended = new Promise(resolve => child.on('close', (code, signal) => resolve(signal ?? code)))
  return { child, ended }
}

const vm = start('vm/run.mjs', ['ignore', 'pipe', 'pipe'])
const output = []
for (const stream of [vm.child.stdout, vm.child.stderr]) stream.on('data', chunk => output.push(chunk))
const here = start('run.mjs', 'inherit')
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    for (const { child } of [vm, here]) child.kill(signal)
  })
}

const results = [await here.ended]
console.log('\nIn the virtual machine:')
results.push(await vm.ended)
process.stdout.write(Buffer.concat(output))
if (results.some(result => result !== 0)) process.exitCode = 1
