// Who takes part in the `frames` suite, and in what: `does` gives for each kind of workload the first argument of the
// subject's program. prepare() gives the command line before it, or throws the reason why the subject cannot take part.
import { join } from 'node:path'
import { compileAddon, compileC, compileGo } from '../build.mjs'
import { bench } from '../paths.mjs'
import { run } from '../process.mjs'

const files = (names, ending) => names.map(name => `limit/${name}.${ending}`)
const PARTS = ['switch', 'tunnel', 'tap', 'batch', 'told', 'program']

const compileLimit = () =>
  compileC('frames-limit', ['limit/frames.c', ...files(PARTS, 'c'), ...files([...PARTS, 'pattern'], 'h')], ['pthread'])

const compileOpener = () =>
  compileC(
    'frames-open-taps',
    ['limit/open_taps.c', ...files(['tap', 'program'], 'c'), ...files(['tap', 'program'], 'h')],
    []
  )

const limit = async () => [await compileLimit()]

// The heap is looked at after a full collection.
const node = (script, ...args) => [process.execPath, '--expose-gc', join(bench, script), ...args]

const linkwright = () => node('subjects/frames.mjs')

// Node programs that have to be given open devices: two, of which most use one.
const withTaps = async (mode, command) => [await compileOpener(), mode, '2', ...command]

const itself = (...kinds) => Object.fromEntries(kinds.map(kind => [kind, kind]))

export const subjects = [
  {
    id: 'linkwright',
    name: 'linkwright',
    isOurs: true,
    does: itself('read', 'write', 'forward', 'pipe', 'switch', 'tcp', 'tunnel', 'echo', 'flood'),
    prepare: linkwright
  },
  { id: 'sync', name: 'linkwright, readBatch', isOurs: true, does: { read: 'read-sync' }, prepare: linkwright },
  { id: 'busy', name: 'linkwright, busy polling', isOurs: true, does: { echo: 'echo-busy' }, prepare: linkwright },
  { id: 'plain', name: 'linkwright, no offloads', isOurs: true, does: { tcp: 'tcp-plain' }, prepare: linkwright },
  {
    id: 'apart',
    name: 'linkwright, no merging',
    isOurs: true,
    does: { tunnel: 'tunnel-apart' },
    prepare: linkwright
  },
  {
    id: 'limit',
    name: 'limit (C)',
    isLimit: true,
    does: { ...itself('read', 'write', 'forward', 'pipe', 'tcp', 'tunnel', 'echo'), switch: 'pipe' },
    prepare: limit
  },
  {
    id: 'c-threads',
    name: 'C, with an idle thread',
    does: { read: 'read-threads', write: 'write-threads', forward: 'forward-threads' },
    prepare: limit
  },
  { id: 'c-switch', name: 'C, switch', does: { switch: 'switch' }, prepare: limit },
  { id: 'c-busy', name: 'C, busy polling', does: { echo: 'echo-busy' }, prepare: limit },
  { id: 'c-plain', name: 'C, no offloads', does: { tcp: 'tcp-plain' }, prepare: limit },
  { id: 'c-segment', name: 'C, UDP_SEGMENT', does: { tunnel: 'tunnel-segment' }, prepare: limit },
  { id: 'generator', name: 'generator (C)', reportsGenerator: true, does: { read: 'read' }, prepare: limit },
  { id: 'bridge', name: "kernel's bridge", does: { tcp: 'bridge' }, prepare: () => [] },
  { id: 'vxlan', name: "kernel's VXLAN", does: { tunnel: 'vxlan' }, prepare: () => [] },
  {
    id: 'go',
    name: 'Go, plain reads',
    does: { ...itself('read', 'write', 'forward', 'pipe', 'tunnel', 'echo'), tcp: 'pipe' },
    prepare: async () => [await compileGo('frames-go', 'peers/go-frames')]
  },
  {
    id: 'wireguard',
    name: 'wireguard tun (Go)',
    does: itself('tcp'),
    prepare: async () => [await compileGo('frames-wireguard', 'peers/wireguard-tun')]
  },
  {
    id: 'python',
    name: 'Python, os.read',
    does: itself('read', 'write', 'forward', 'echo'),
    async prepare() {
      await run('/usr/bin/python3', ['-V'])
      return ['/usr/bin/python3', join(bench, 'peers/frames.py')]
    }
  },
  {
    id: 'fs-stream',
    name: 'fs streams (Node)',
    does: itself('read', 'write', 'forward', 'echo', 'flood'),
    prepare: () => withTaps('blocking', node('peers/fs-stream.mjs'))
  },
  {
    id: 'uv-poll',
    name: 'uv_poll a frame (Node)',
    does: itself('read', 'write', 'forward', 'echo', 'flood'),
    async prepare() {
      const addon = await compileAddon('frames-uv-poll.node', 'peers/uv-poll/uv_poll.c')
      return withTaps('nonblocking', node('peers/uv-poll/uv-poll.mjs', addon))
    }
  }
]
