import { describe, expect, test } from 'vitest'
import { type Offloads, Tap } from '../../lib/index.js'
import { openTap } from './support/devices.js'
import { needsTun } from './support/needs.js'
import { features, ipLink, PYTHON, run } from './support/system.js'

needsTun()

const CSUM = 'tx-checksum-ip-generic'

/** What ethtool calls them, what they need beside them, and all of that as TUN_F_* bits. */
const FEATURES: [keyof Offloads, string, Offloads, number][] = [
  ['tso4', 'tx-tcp-segmentation', {}, 0x3],
  ['tso6', 'tx-tcp6-segmentation', {}, 0x5],
  ['tsoEcn', 'tx-tcp-ecn-segmentation', { tso4: true }, 0xb],
  ['uso4', 'tx-udp-segmentation', { uso6: true }, 0x61],
  ['uso6', 'tx-udp-segmentation', { uso4: true }, 0x61],
  ['udpTunnelGso', 'tx-udp_tnl-segmentation', { tso4: true }, 0x83],
  ['udpTunnelGsoCsum', 'tx-udp_tnl-csum-segmentation', { tso4: true, udpTunnelGso: true }, 0x183]
]

const TRY_OFFLOADS = `
import fcntl, os, struct, sys
TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
fd = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"", 0x5002))
fcntl.ioctl(fd, TUNSETVNETHDRSZ, struct.pack("i", 24))
try: fcntl.ioctl(fd, TUNSETOFFLOAD, int(sys.argv[1]))
except OSError: print("refused")
else: print("taken")
`

/** Whether the running kernel has them, asked without linkwright. */
function kernelTakes(mask: number): boolean {
  return run(PYTHON, '-c', TRY_OFFLOADS, String(mask)).trim() === 'taken'
}

test('csum', async () => {
  const tap = await openTap({ name: 'off0', vnetHeader: true })
  expect(features('off0')[CSUM]).toBe(false)
  await tap.setOffloads({ csum: true })
  expect(features('off0')[CSUM]).toBe(true)
  expect(features('off0')['tx-tcp-segmentation']).toBe(false)
})

test.each(FEATURES)('%s switches on %s, and off again', async (offload, feature, beside, mask) => {
  const vnetHeader = offload.startsWith('udpTunnel') ? 24 : true
  const offloads = { csum: true, ...beside, [offload]: true }
  const opening = openTap({ name: 'off0', vnetHeader, offloads })
  if (!kernelTakes(mask)) {
    await expect(opening).rejects.toMatchObject({ code: 'EINVAL', syscall: 'ioctl(TUNSETOFFLOAD)', link: 'off0' })
    expect(ipLink('off0')).toBeUndefined()
    return
  }
  const tap = await opening
  expect(features('off0')).toMatchObject({ [CSUM]: true, [feature]: true })
  await tap.setOffloads({})
  expect(features('off0')).toMatchObject({ [CSUM]: false, [feature]: false })
})

test('ufo is taken', async () => {
  await openTap({ vnetHeader: true, offloads: { csum: true, ufo: true } })
})

describe('wrong input', () => {
  test('others without csum', async () => {
    await expect(Tap.open({ vnetHeader: true, offloads: { tso4: true } })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      path: 'offloads.csum'
    })
  })

  test('without the header', async () => {
    await expect(Tap.open({ offloads: { csum: true } })).rejects.toMatchObject({ path: 'vnetHeader' })
  })

  test('an unknown one', async () => {
    const offloads = { csum: true, lro: true } as Offloads
    await expect(Tap.open({ vnetHeader: true, offloads })).rejects.toMatchObject({ path: 'offloads.lro' })
  })

  test('one family of UDP segments: the kernel refuses, and nothing stays', async () => {
    const offloads = { csum: true, uso4: true }
    await expect(Tap.open({ name: 'off0', vnetHeader: true, offloads })).rejects.toMatchObject({
      code: 'EINVAL',
      syscall: 'ioctl(TUNSETOFFLOAD)'
    })
    expect(ipLink('off0')).toBeUndefined()
  })
})
