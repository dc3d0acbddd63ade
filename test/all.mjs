/**
 * `npm test`: the tests here, and beside them those in the virtual machine. With `--sanitize`, as CI runs it, what is native
 * most follows there under the sanitizers. Beside the tests one runs after the other; what they say comes when all are done.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { sanitize: { type: 'boolean', default: false } } })
const NATIVE = ['test/frames', 'test/forward', 'test/lifecycle', 'test/unit/socket', 'test/host/guard']
const running = new Set()

function run(stdio, script, ...args) {
  const child = spawn(process.execPath, [fileURLToPath(new URL(script, import.meta.url)), ...args], { stdio })
  const output = []
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => output.push(chunk))
  running.add(child)
  return new Promise(resolve => {
    child.on('close', (code, signal) => {
      running.delete(child)
      resolve({ status: signal ?? code, output })
    })
  })
}

async function beside() {
  const quietly = ['ignore', 'pipe', 'pipe']
  const results = [{ title: 'In the virtual machine', ...(await run(quietly, 'vm/run.mjs')) }]
  if (values.sanitize && !stopped) {
    results.push({ title: 'Under the sanitizers', ...(await run(quietly, 'sanitize.mjs', ...NATIVE)) })
  }
  return results
}

let stopped = false
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    stopped = true
    for (const child of running) child.kill(signal)
  })
}

const others = beside()
const results = [await run('inherit', 'run.mjs')]
for (const { title, ...result } of await others) {
  process.stdout.write(`\n${title}:\n`)
  process.stdout.write(Buffer.concat(result.output))
  results.push(result)
}
if (results.some(({ status }) => status !== 0)) process.exitCode = 1
