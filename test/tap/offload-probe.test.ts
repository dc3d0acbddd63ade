import { statSync } from 'node:fs'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { FrameBatch, type OffloadPreset, type Offloads, probeOffloads, Tap, Tun, VnetHeader } from '../../lib/index.js'
import { type ProbeFrame, pushProbeFrame } from '../../lib/tap/probe-frames.js'
import { onTheWire, whatIsWrong } from '../../lib/tap/probe-verdict.js'
import { batchOf, framesOf, headersOf, hex } from '../frames/support/batches.js'
import { type Flow, partialFrame, pattern, segmentsOf, superFrame, wireFrame } from '../frames/support/flows.js'
import { AS_NOBODY, canRun, IN_USER_NAMESPACE, runScript } from '../support/child.js'
import { has } from '../support/features.js'
import { openMacvtap, openNetlink, openTap, openTun } from './support/devices.js'
import { createLower } from './support/lower.js'
import { isInitialRoot, needsTun } from './support/needs.js'
import { kernelTakes } from './support/offloads.js'
import { features, inside, ipLink, ipLinks, newFiles, openFiles, PYTHON, runBeside } from './support/system.js'

const CSUM = 'tx-checksum-ip-generic'
const TSO = ['tx-tcp-segmentation', 'tx-tcp6-segmentation', 'tx-tcp-ecn-segmentation']
const USO = 'tx-udp-segmentation'
const knowsUso = kernelTakes(0x61)

/** Hands a super-frame with its virtio-net header to a link (PACKET_VNET_HDR). */
const SEND_OFFLOADED = `
import socket, sys
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.setsockopt(263, 15, 1)
sender.bind((sys.argv[1], 0))
sender.send(bytes.fromhex(sys.argv[2]))
`

/** Those of the features that are on, as ethtool sees it. */
function switchedOn(name: string): string[] {
  const all = features(name)
  return [CSUM, ...TSO, USO].filter(feature => all[feature])
}

describe('the probe', () => {
  needsTun()
  beforeEach(context => {
    context.skip(!has('bridge'), 'this kernel has no bridges')
  })

  test('finds what the kernel knows, and says why where it is wrong', async () => {
    const { findings, dataValid, kernel } = await probeOffloads()
    expect(kernel).toMatch(/^\d+\.\d+/)
    expect(Object.keys(findings)).toEqual(['csum', 'tso4', 'tso6', 'tsoEcn', 'uso4', 'uso6'])
    const masks = { csum: 0x1, tso4: 0x3, tso6: 0x5, tsoEcn: 0xf, uso4: 0x61, uso6: 0x61 }
    for (const [offload, mask] of Object.entries(masks)) {
      expect(findings[offload as 'csum'].supported).toBe(kernelTakes(mask))
    }
    for (const finding of [...Object.values(findings), ...Object.values(dataValid)]) {
      const { supported, correct, reason } = finding
      expect(reason === undefined).toBe(supported && correct)
      expect(reason ?? 'a reason').toMatch(/\w/)
    }
  })

  test('proves what kernels have had right for years', async () => {
    const { findings, offloads } = await probeOffloads()
    expect(findings).toMatchObject({
      csum: { supported: true, correct: true },
      tso4: { supported: true },
      tso6: { supported: true }
    })
    const { uso4, uso6 } = findings
    expect(offloads).toMatchObject({
      csum: true,
      ...(findings.tso4.correct ? { tso4: true } : {}),
      ...(findings.tso6.correct ? { tso6: true } : {}),
      ...(uso4.correct && uso6.correct ? { uso4: true, uso6: true } : {})
    })
    for (const [offload, on] of Object.entries(offloads)) expect(findings[offload as 'csum'].correct).toBe(on)
  })

  test('a frame that is lost, or late, proves nothing', { timeout: 60_000 }, async () => {
    const { findings, dataValid, offloads } = await probeOffloads()
    vi.resetModules()
    const { FrameQueue, probeOffloads: probe } = await import('../../lib/index.js')
    const { writeBatch, readBatch } = FrameQueue.prototype
    onTestFinished(() => {
      Object.assign(FrameQueue.prototype, { writeBatch, readBatch })
    })
    let writes = 0
    let reads = 0
    FrameQueue.prototype.writeBatch = function (...[batch, ...rest]: Parameters<typeof writeBatch>) {
      return ++writes % 10 === 0 ? batch.length : writeBatch.call(this, batch, ...rest)
    }
    // Nothing is there for a while that is longer than patience.
    let silentUntil = 0
    FrameQueue.prototype.readBatch = function (batch) {
      const now = performance.now()
      if (now > silentUntil && ++reads % 200 !== 0) return readBatch.call(this, batch)
      if (now > silentUntil) silentUntil = now + 300
      batch.clear()
      return 0
    }
    const again = await probe()
    expect(writes).toBeGreaterThan(20)
    expect(reads).toBeGreaterThan(200)
    expect(again).toMatchObject({ findings, dataValid, offloads })
  })

  test('leaves nothing behind when it fails, and can be asked again', async () => {
    vi.resetModules()
    const { FrameQueue, probeOffloads: probe } = await import('../../lib/index.js')
    const before = openFiles()
    const torn = vi.spyOn(FrameQueue, 'of').mockImplementation(() => {
      throw new Error('torn')
    })
    onTestFinished(() => torn.mockRestore())
    await Promise.all([1, 2].map(() => expect(probe()).rejects.toThrow('torn')))
    await expect.poll(() => newFiles(before).filter(file => /tun|socket|net:/.test(file))).toEqual([])
    torn.mockRestore()
    expect((await probe()).findings.csum.supported).toBe(true)
    await expect.poll(() => newFiles(before).filter(file => /tun|socket|net:/.test(file))).toEqual([])
  })

  test('leaves nothing behind, and is run once', async () => {
    const files = openFiles()
    const links = ipLinks().map(({ ifname }) => ifname)
    const first = await probeOffloads()
    expect(await probeOffloads()).toBe(first)
    expect(newFiles(files).filter(file => file.includes('net'))).toEqual([])
    expect(ipLinks().map(({ ifname }) => ifname)).toEqual(links)
  })

  test('leaves nothing behind when it is the first of a process', () => {
    const { stdout, stderr, status } = runScript(`
      import { readdirSync, readlinkSync } from 'node:fs'
      const open = () => readdirSync('/proc/self/fd').map(fd => { try { return readlinkSync('/proc/self/fd/' + fd) } catch { return '' } })
      const net = await lib.Netlink.open()
      const names = async () => (await net.links.list()).map(link => link.name)
      const before = await names()
      const both = await Promise.all([lib.probeOffloads(), lib.probeOffloads()])
      console.log(JSON.stringify({
        same: both[0] === both[1],
        tun: open().filter(file => file.includes('tun')).length,
        more: (await names()).length - before.length
      }))`)
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toEqual({ same: true, tun: 0, more: 0 })
  })

  test('an unprivileged user is told, and gets none', ({ skip }) => {
    if (!canRun(AS_NOBODY)) skip('setpriv does not work here')
    const { stdout } = runScript(
      `const error = await lib.probeOffloads().catch(error => error)
       const { code, syscall, diagnosis } = error
       console.log(JSON.stringify({ code, syscall, diagnosis, ours: error instanceof lib.LinkwrightError }))`,
      { before: AS_NOBODY }
    )
    expect(JSON.parse(stdout)).toMatchObject({
      code: 'EPERM',
      syscall: expect.stringMatching(/unshare/),
      diagnosis: expect.stringMatching(/namespace of their own/),
      ours: true
    })
  })

  test('root of a user namespace finds the same', async ({ skip }) => {
    if (!canRun(IN_USER_NAMESPACE)) skip('unprivileged users may not make user namespaces here')
    const { stdout } = runScript(
      `const { offloads, code } = await lib.probeOffloads().catch(error => error)
       console.log(JSON.stringify(offloads ?? code))`,
      { before: IN_USER_NAMESPACE }
    )
    const mayOpen = (statSync('/dev/net/tun').mode & 0o6) === 0o6
    expect(JSON.parse(stdout)).toEqual(mayOpen ? (await probeOffloads()).offloads : 'EACCES')
  })
})

describe('its verdict', () => {
  const FLOW = { version: 4, protocol: 'tcp' } as const
  const payload = pattern(2500)
  const sent = batchOf([superFrame(FLOW, payload, 1000)])
  const segments = segmentsOf(FLOW, payload, 1000)
  const [first, second, third] = segments as [Buffer, Buffer, Buffer]

  test('nothing is wrong with what it should be', () => {
    expect(whatIsWrong(sent, batchOf(segments), false)).toBeUndefined()
    expect(whatIsWrong(sent, sent, true)).toBeUndefined()
  })

  test.each([
    ['a segment is missing', [first, second], false, /2 frames arrived, not 3/],
    ['nothing arrives', [], true, /0 frames arrived, not 1/],
    ['it is split for a reader that takes it', segments, true, /3 frames arrived, not 1/],
    ['segments are exchanged', [first, third, second], false, /frame 2 of 3/],
    ['a segment has the sequence number of another', [first, first, third], false, /frame 2 of 3/],
    [
      'a wrong checksum',
      [first, wireFrame(FLOW, payload.subarray(1000, 2000), { sequence: 1001, identification: 1 }), third],
      false,
      /frame 2 of 3/
    ],
    [
      'a checksum is left over',
      [partialFrame(FLOW, payload.subarray(0, 1000)), second, third],
      false,
      /a frame was not finished/
    ],
    ['segments of another size', [superFrame(FLOW, payload, 500)], true, /5 segments, not 3/],
    ['a byte is changed', [superFrame(FLOW, Buffer.concat([payload.subarray(1), pattern(1)]), 1000)], true, /frame 1/]
  ])('%s', (_, arrived, whole, wrong) => {
    expect(whatIsWrong(sent, batchOf(arrived), whole)).toMatch(wrong)
  })

  test('its frames are what they should be', () => {
    for (const version of [4, 6] as const) {
      for (const protocol of ['tcp', 'udp'] as const) {
        const frame: ProbeFrame = { version, protocol, payload: 2500, segment: 1000 }
        const whole = new FrameBatch({ vnetHeaderSize: 10 })
        expect(pushProbeFrame(whole, frame, true)).toBe(true)
        const header = new VnetHeader(whole.vnetHeaderBytes(0))
        expect(header).toMatchObject({
          needsChecksum: true,
          gsoSize: 1000,
          gsoType: protocol === 'udp' ? 'udpL4' : `tcpv${version}`
        })
        // The same made here, its sum of the pseudo header and all.
        const plain = new FrameBatch({ vnetHeaderSize: 10 })
        expect(pushProbeFrame(plain, { ...frame, payload: 999 }, false)).toBe(true)
        expect(hex(onTheWire(plain))).toEqual(hex(framesOf(plain)))
        const partial = new FrameBatch({ vnetHeaderSize: 10 })
        pushProbeFrame(partial, { version, protocol, payload: 999 }, true)
        expect(hex(onTheWire(partial))).toEqual(hex(framesOf(plain)))
        expect(headersOf(plain)[0]?.[0]).toBe(2)
      }
    }
  })
})

describe('offloads by a word', () => {
  needsTun()

  const WORDS: [OffloadPreset, string[]][] = [
    ['off', []],
    ['csum', [CSUM]],
    ['tso', [CSUM, ...TSO]]
  ]

  test.each(WORDS)('%s', async (word, wanted) => {
    const tap = await openTap({ name: 'word0', vnetHeader: true, offloads: word })
    expect(switchedOn('word0')).toEqual(wanted)
    await tap.setOffloads(word === 'csum' ? 'off' : 'csum')
    expect(switchedOn('word0')).toEqual(word === 'csum' ? [] : [CSUM])
    await tap.setOffloads(word)
    expect(switchedOn('word0')).toEqual(wanted)
  })

  test('full: UDP too, or an error where the kernel does not know that', async () => {
    const opening = openTun({ name: 'word0', vnetHeader: true, offloads: 'full' })
    if (knowsUso) {
      await opening
      expect(switchedOn('word0')).toEqual([CSUM, ...TSO, USO])
    } else {
      await expect(opening).rejects.toMatchObject({ code: 'EINVAL', syscall: 'ioctl(TUNSETOFFLOAD)' })
      expect(ipLink('word0')).toBeUndefined()
    }
  })

  test('auto: what was proved', async () => {
    const names: Record<string, keyof Offloads> = {
      [CSUM]: 'csum',
      [TSO[0] as string]: 'tso4',
      [TSO[1] as string]: 'tso6',
      [TSO[2] as string]: 'tsoEcn',
      [USO]: 'uso4'
    }
    const { offloads } = await probeOffloads().catch(() => ({ offloads: {} as Offloads }))
    const wanted = Object.keys(names).filter(feature => offloads[names[feature] as keyof Offloads])
    const tap = await openTap({ name: 'word0', vnetHeader: true, offloads: 'auto' })
    expect(switchedOn('word0')).toEqual(wanted)
    await tap.setOffloads('off')
    await tap.setOffloads('auto')
    expect(switchedOn('word0')).toEqual(wanted)
  })

  test('macvtap', async context => {
    context.skip(!isInitialRoot(), 'the nodes belong to root')
    context.skip(!has('macvtap'), 'this kernel has no macvtap')
    const lower = createLower()
    const net = await openNetlink()
    const link = await net.links.create({ kind: 'macvtap', name: 'word0', link: lower.name, mode: 'bridge', up: true })
    const device = await openMacvtap(link, { net, vnetHeader: true, offloads: 'tso' })
    // ethtool does not show it there, so real frames have to.
    const flow: Flow = { version: 4, protocol: 'tcp', destinationMac: link.address as string }
    const { header, frame } = superFrame(flow, pattern(2500), 1000)
    const queue = device.frames()
    const received = async (count: number): Promise<string[]> => {
      await runBeside(...inside(lower.outside, PYTHON, '-c', SEND_OFFLOADED, 'eth0', hex([header, frame]).join('')))
      const frames: Buffer[] = []
      const batch = queue.createBatch()
      for (const end = performance.now() + 3000; frames.length < count && performance.now() < end; ) {
        queue.readBatch(batch)
        frames.push(...framesOf(batch).filter(bytes => bytes.readUInt16BE(12) === 0x0800))
        await new Promise(resolve => setTimeout(resolve, 5))
      }
      return hex(frames)
    }
    expect(await received(1)).toEqual(hex([frame]))
    await device.setOffloads('off')
    expect(await received(3)).toEqual(hex(segmentsOf(flow, pattern(2500), 1000)))
    await device.setOffloads('tso')
    expect(await received(1)).toEqual(hex([frame]))
  })

  test('off needs no header, all others do', async () => {
    await openTap({ offloads: 'off' })
    for (const offloads of ['auto', 'csum', 'tso', 'full'] as const) {
      await expect(Tap.open({ offloads })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', path: 'vnetHeader' })
    }
  })

  test('another word is refused', async () => {
    const refused = { code: 'ERR_INVALID_ARG_VALUE', path: 'offloads' }
    for (const offloads of ['all', '', 'toString'] as unknown[] as OffloadPreset[]) {
      await expect(Tun.open({ vnetHeader: true, offloads })).rejects.toMatchObject(refused)
    }
    const tap = await openTap({ vnetHeader: true })
    await expect(tap.setOffloads('on' as OffloadPreset)).rejects.toMatchObject(refused)
  })
})
