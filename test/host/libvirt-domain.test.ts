/** A domain that libvirt starts on a TAP of ours. */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { Tap } from '../../lib/index.js'
import { guestFiles, whyNoGuest } from '../guest/guest.mjs'
import { test } from '../support/namespace.js'
import { hasLibvirt, startLibvirt } from './support/libvirt.js'

const INIT = fileURLToPath(new URL('programs/still-guest.sh', import.meta.url))
const reason = (await hasLibvirt()) ? await whyNoGuest() : 'libvirt is not installed'

const domain = (kernel: string, initramfs: string, tap: string) => `
<domain type='qemu'>
  <name>guest</name>
  <memory unit='MiB'>160</memory>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>${kernel}</kernel>
    <initrd>${initramfs}</initrd>
    <cmdline>console=ttyS0 quiet panic=-1 no_timer_check random.trust_cpu=on tsc=reliable mitigations=off</cmdline>
  </os>
  <cpu mode='maximum'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <interface type='ethernet'>
      <mac address='52:54:00:11:22:33'/>
      <target dev='${tap}' managed='no'/>
      <model type='virtio'/>
    </interface>
  </devices>
</domain>`

test.skipIf(reason)(
  `libvirt starts a domain on a TAP of ours${reason ? `: ${reason}` : ''}`,
  async ({ ns }) => {
    const folder = await mkdtemp(join(tmpdir(), 'linkwright-'))
    try {
      await ns.net.links.create({ kind: 'bridge', name: 'br0', up: true })
      await ns.net.addresses.add({ link: 'br0', address: '10.0.0.1/24' })
      // Its settings stay when we let go of it; whoever opens it next finds it in the bridge.
      const tap = await Tap.open({
        net: ns.net,
        name: 'vnet7',
        master: 'br0',
        up: true,
        persist: true,
        vnetHeader: true
      })
      const { index } = tap
      await tap.close()
      const { kernel, initramfs } = await guestFiles(INIT)
      const xml = join(folder, 'guest.xml')
      await writeFile(xml, domain(kernel, initramfs, 'vnet7'))
      await using libvirt = await startLibvirt(ns)
      await libvirt.virsh('create', xml)
      expect(ns.tools.link('vnet7')).toMatchObject({ ifindex: index, master: 'br0', linkinfo: { info_kind: 'tun' } })
      expect(await answers(ns.name, '10.0.0.2')).toBe(true)
      await libvirt.virsh('destroy', 'guest')
      const left = ns.tools.link('vnet7')
      expect(left).toMatchObject({ ifindex: index, master: 'br0' })
      expect(left.linkinfo.info_data.persist).toBe(true)
    } finally {
      await rm(folder, { recursive: true })
    }
  },
  180_000
)

/** Whether it does within two minutes: it boots in software. */
async function answers(netns: string, address: string): Promise<boolean> {
  for (let second = 0; second < 120; second++) {
    try {
      execFileSync('ip', ['netns', 'exec', netns, 'ping', '-n', '-c', '1', '-W', '1', address], { stdio: 'ignore' })
      return true
    } catch {
      await setTimeout(500)
    }
  }
  return false
}
