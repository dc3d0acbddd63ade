/** Damaged frames and headers: nothing outside of them is touched, nothing hangs, nothing is lost. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { completeChecksums, FrameBatch, mergeFrames, segmentFrames } from '../../lib/index.js'
import { random } from '../support/random.js'
import { batchOf } from './support/batches.js'
import { FLOWS, partialFrame, pattern, type SuperFrame, segmentsOf, superFrame } from './support/flows.js'

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const MILLISECONDS = Number(process.env['FUZZ_MILLISECONDS'] ?? 4000)
const NATIVE = fileURLToPath(new URL('../../native/', import.meta.url))
const FUZZER = fileURLToPath(new URL('support/offload-fuzz.cc', import.meta.url))

/** Super-frames of every shape, frames without a checksum, and runs of segments. */
const corpus: SuperFrame[] = Object.values(FLOWS).flatMap(flow => [
  superFrame(flow, pattern(5000), 1000),
  superFrame(flow, pattern(60), 7),
  partialFrame(flow, pattern(33)),
  ...segmentsOf(flow, pattern(500), 99).map(frame => ({ header: Buffer.alloc(10), frame }))
])

function damaged({ header, frame }: SuperFrame, next: (below: number) => number): SuperFrame {
  const bytes = Buffer.from(frame.subarray(0, next(4) === 0 ? next(frame.length + 1) : frame.length))
  for (let times = next(5); times > 0 && bytes.length > 0; times--) bytes[next(Math.min(bytes.length, 120))] = next(256)
  const changed = Buffer.from(header)
  if (next(2)) changed[next(10)] = [0, 1, 2, 4, 16, 127, 128, 255, next(256)][next(9)] as number
  return { header: changed, frame: bytes }
}

test(`over batches of JavaScript (SEED=${seed})`, () => {
  const next = random(seed)
  let segmented = 0
  let refused = 0
  let merged = 0
  for (let round = 0; round < 400; round++) {
    const from = batchOf(
      Array.from({ length: 1 + next(20) }, () => damaged(corpus[next(corpus.length)] as SuperFrame, next)),
      [10, 12, 24][next(3)]
    )
    // Now and then the tables lie as well.
    if (next(10) === 0) from.offsets[next(from.length)] = next(2 ** 32)
    if (next(10) === 0) from.lengths[next(from.length)] = next(2 ** 32)
    const layer = next(4) === 0 ? 'ip' : 'ethernet'
    const wire = new FrameBatch({ frames: 20_000, bytes: 4 << 20 })
    const progress = segmentFrames(from, wire, { layer })
    expect(progress).toMatchObject({ frames: from.length, segments: 0 })
    segmented += wire.length
    refused += progress.refused
    const large = new FrameBatch({ bytes: 4 << 20, vnetHeaderSize: 10 })
    const merging = mergeFrames(from, large, { layer })
    expect(merging.frames).toBe(from.length)
    expect(large.length + merging.refused).toBeLessThanOrEqual(from.length)
    merged += from.length - large.length - merging.refused
    completeChecksums(from)
  }
  // All of it happened.
  expect(segmented).toBeGreaterThan(1000)
  expect(refused).toBeGreaterThan(100)
  expect(merged).toBeGreaterThanOrEqual(0)
})

// Building it takes a while on a busy machine.
test(`in native code, with sanitizers (SEED=${seed})`, { timeout: 240_000 }, context => {
  const folder = mkdtempSync(join(tmpdir(), 'lw-fuzz-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const program = join(folder, 'fuzz')
  const sources = readdirSync(join(NATIVE, 'offload'))
    .filter(name => name.endsWith('.cc') && name !== 'bindings.cc')
    .map(name => join(NATIVE, 'offload', name))
  const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']
  const flags = ['-std=c++17', '-fno-exceptions', '-O1', '-g', '-pthread', `-I${NATIVE}`]
  const trial = spawnSync('g++', [...sanitizers, '-xc++', '-', '-o', program], {
    input: 'int main() {}',
    encoding: 'utf8'
  })
  context.skip(trial.status !== 0, `no sanitizers: ${trial.error?.message ?? trial.stderr}`)
  execFileSync('g++', [...flags, ...sanitizers, FUZZER, ...sources, '-o', program])
  const input = Buffer.concat(
    corpus.flatMap(({ header, frame }) => {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(frame.length)
      return [length, header, frame]
    })
  )
  // A sanitizer that is preloaded for Node has no business there.
  const env = { PATH: process.env['PATH'] ?? '' }
  const { status, signal, stdout, stderr } = spawnSync(program, [String(seed), String(MILLISECONDS)], { input, env })
  expect({ status, signal, stderr: stderr.toString().slice(0, 4000) }).toEqual({ status: 0, signal: null, stderr: '' })
  expect(Number(stdout)).toBeGreaterThanOrEqual(100)
})
