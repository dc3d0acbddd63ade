/** `node test/guest/selftest.mjs`: whether guests boot, talk and take cards while they run, and how long that takes. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { ensureSystem } from '../../scripts/system.mjs'
import { bootGuest, whyNoGuest } from './guest.mjs'

/** Opens both queues of a TAP and becomes its arguments, which find them as 10 and 11. */
const OPEN_TAP = `
import fcntl, os, struct, sys
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_MULTI_QUEUE, IFF_VNET_HDR = 0x400454ca, 2, 0x1000, 0x100, 0x4000
for number in 10, 11:
    queue = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(queue, TUNSETIFF, struct.pack('16sH22x', b'tap0', IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE | IFF_VNET_HDR))
    os.dup2(queue, number, inheritable=True)
    os.close(queue)
os.execvp(sys.argv[1], sys.argv[1:])
`

const began = performance.now()
const report = text => console.log(`${((performance.now() - began) / 1000).toFixed(2).padStart(6)} s  ${text}`)
const sh = script => execFileSync('sh', ['-ec', script], { encoding: 'utf8' })

async function selfTest() {
  sh(`
    ip link set lo up
    ip link add br0 type bridge
    ip tuntap add tap1 mode tap vnet_hdr
    ip tuntap add tap2 mode tap
    for port in tap0 tap1 tap2; do ip link set $port master br0 up; done
    ip addr add 10.0.0.1/24 dev br0
    ip link set br0 up`)
  const first = await bootGuest({ netdevs: [{ fds: [10, 11] }] })
  report('a guest with two inherited queues is up')
  const second = await bootGuest({ netdevs: [{ ifname: 'tap1' }], netns: `/proc/${process.pid}/ns/net` })
  report('a guest on a TAP by name is up')

  await first.up('eth0', '10.0.0.2/24', 'fd00::2/64')
  await second.up('eth0', '10.0.0.3/24', 'fd00::3/64')
  assert.equal(await first.check('ls -d /sys/class/net/eth0/queues/rx-* | wc -l'), '2')
  assert.match(await first.check('ping -c2 -W5 10.0.0.1'), /2 packets received/)
  report('guest -> host')
  assert.match(await first.check('ping -c2 -W5 10.0.0.3'), /2 packets received/)
  assert.match(await first.check('ping -6 -c2 -W5 fd00::3'), /2 packets received/)
  report('guest -> guest')
  assert.match(sh('/bin/busybox ping -c2 -W5 10.0.0.2'), /2 packets received/)
  report('host -> guest')

  const qmp = await second.qmp()
  const mac = '52:54:00:aa:bb:cc'
  await qmp.execute('netdev_add', { type: 'tap', id: 'extra', ifname: 'tap2', script: 'no', downscript: 'no' })
  await qmp.execute('device_add', { driver: 'virtio-net-pci', id: 'extraCard', netdev: 'extra', mac, romfile: '' })
  const name = await second.nic(mac)
  await second.check('ip addr flush dev eth0; ip link set eth0 down')
  await second.up(name, '10.0.0.4/24')
  assert.match(await second.check('ping -c2 -W5 10.0.0.1'), /2 packets received/)
  report(`plugged in while running: ${name}`)
  const gone = qmp.event('DEVICE_DELETED', { matches: ({ device }) => device === 'extraCard' })
  await qmp.execute('device_del', { id: 'extraCard' })
  await gone
  await qmp.execute('netdev_del', { id: 'extra' })
  assert.equal((await second.run(`test -e /sys/class/net/${name}`)).status, 1)
  report('and unplugged')

  assert.deepEqual(await second.run('echo out; echo err >&2; exit 3'), { status: 3, output: 'out\nerr\n' })
  assert.equal((await second.run('sleep 60', { timeout: 1000 })).status, 137)
  await Promise.all([first.stop(), second.stop()])
  assert.equal(existsSync(`/proc/${first.pid}`), false)
  await assert.rejects(first.run('true'), /the guest ended/)
  report('stopped')
}

if (process.argv[2] === 'inside') {
  await selfTest()
  process.on('exit', () => {
    const left = readdirSync(tmpdir()).filter(
      entry => entry.startsWith('linkwright-vm-') && entry.includes(`-${process.pid}-`)
    )
    assert.deepEqual(left, [])
  })
} else {
  const reason = (await ensureSystem(['network'])).network ?? (await whyNoGuest())
  report(reason ?? 'the system has what it takes')
  const inside = [process.execPath, fileURLToPath(import.meta.url), 'inside']
  if (!reason)
    process.exitCode =
      spawnSync('unshare', ['--net', 'python3', '-c', OPEN_TAP, ...inside], { stdio: 'inherit' }).status ?? 1
}
