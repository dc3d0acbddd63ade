import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { addon } from '../../lib/addon.js'
import { Tap, type TapOptions } from '../../lib/index.js'
import { needsTun } from './support/needs.js'
import { ip, ipLink, ipLinks, newFiles, openFiles } from './support/system.js'

needsTun()

afterEach(() => {
  if (ipLink('undo0')) ip(undefined, 'link', 'delete', 'undo0')
})

/** That an opening fails as expected, and leaves neither link nor descriptor. */
async function expectUndone(options: TapOptions, error: object): Promise<void> {
  const links = ipLinks().map(link => link.ifname)
  const before = openFiles()
  await expect(Tap.open({ name: 'undo0', ...options })).rejects.toMatchObject(error)
  expect(ipLinks().map(link => link.ifname)).toEqual(links)
  await expect.poll(() => newFiles(before)).toEqual([])
}

function makeLink(name: string, kind: string): void {
  ip(undefined, 'link', 'add', name, 'type', kind)
  onTestFinished(() => {
    ip(undefined, 'link', 'delete', name)
  })
}

describe('nothing stays after', () => {
  test('a master that does not exist', () => expectUndone({ master: 'nobody' }, { code: 'ENODEV' }))

  test('a master that takes no ports', async () => {
    makeLink('undo-veth', 'veth')
    await expectUndone({ queues: 4, master: 'undo-veth', mtu: 1400 }, { code: 'EOPNOTSUPP' })
  })

  test('a setting of the port that the kernel refuses', async () => {
    makeLink('undo-br', 'bridge')
    const port = { priority: 64 }
    await expectUndone(
      { master: 'undo-br', port, up: true },
      { code: expect.stringMatching(/^E/), syscall: 'RTM_NEWLINK' }
    )
  })

  test('an MTU that is out of range', () => expectUndone({ mtu: 20 }, { code: 'EINVAL', syscall: 'RTM_NEWLINK' }))

  test('an alternative name that is taken', () => expectUndone({ altnames: ['lo'], up: true }, { code: 'EEXIST' }))

  test('an alternative name that is taken, by a device that was to persist', () =>
    expectUndone({ persist: true, altnames: ['lo'] }, { code: 'EEXIST' }))

  test('an ioctl that the kernel refuses', () =>
    expectUndone(
      { queues: 3, vnetHeader: true, offloads: { csum: true, uso4: true } },
      { code: 'EINVAL', syscall: 'ioctl(TUNSETOFFLOAD)' }
    ))

  test('wrong input for the link', () =>
    expectUndone({ address: 'no:ma:c' as string }, { code: 'ERR_INVALID_ARG_VALUE' }))

  test('wrong input for the port', async () => {
    makeLink('undo-br', 'bridge')
    const port = { colour: 'blue' } as object
    await expectUndone({ master: 'undo-br', port }, { code: 'ERR_INVALID_ARG_VALUE' })
  })

  test('port settings without a master', () => expectUndone({ port: { isolated: true } }, { path: 'master' }))
})

describe('an aborted signal', () => {
  test('before: nothing is begun', async () => {
    const reason = new Error('not wanted any more')
    await expectUndone({ signal: AbortSignal.abort(reason), up: true }, { message: reason.message })
  })

  test.each([0, 1, 2, 5])('after %i ms: nothing stays', async milliseconds => {
    const links = ipLinks().length
    const before = openFiles()
    const controller = new AbortController()
    const opening = Tap.open({
      name: 'undo0',
      queues: 8,
      mtu: 1400,
      altnames: ['undone'],
      persist: true,
      up: true,
      signal: controller.signal
    })
    const timer = setTimeout(() => controller.abort(new Error('late')), milliseconds)
    const tap = await opening.catch(error => error)
    clearTimeout(timer)
    if (tap instanceof Tap) {
      await tap.setPersist(false)
      await tap.close()
    } else expect(tap).toMatchObject({ message: 'late' })
    expect(ipLinks().length).toBe(links)
    await expect.poll(() => newFiles(before)).toEqual([])
  })
})

describe('a persistent device that was there', () => {
  test('survives an opening that failed', async () => {
    await (await Tap.open({ name: 'undo0', persist: true })).close()
    const opening = Tap.open({ name: 'undo0', exclusive: false, persist: true, altnames: ['lo'] })
    await expect(opening).rejects.toMatchObject({ code: 'EEXIST' })
    expect(ipLink('undo0')?.linkinfo?.info_data).toMatchObject({ persist: true })
  })

  test.each([true, false])('survives one that was aborted as the last thing, with persist: %s', async persist => {
    await (await Tap.open({ name: 'undo0', persist: true })).close()
    let looks = 0
    const throwIfAborted = () => {
      if (++looks === 2) throw new Error('aborted at the end')
    }
    const signal = Object.assign(new AbortController().signal, { throwIfAborted })
    await expect(Tap.open({ name: 'undo0', exclusive: false, persist, signal })).rejects.toThrow('aborted at the end')
    expect(ipLink('undo0')?.linkinfo?.info_data).toMatchObject({ persist: true })
  })
})

test('a device that was made persistent on the way is gone, unless it was there before', async () => {
  const open = () =>
    addon().openTun({
      ...{ netns: -1, name: 'undo0', flags: 0x1002, exclusive: false, queues: 1, index: 0, disableIpv6: true },
      ioctls: [
        ['TUNSETPERSIST', 1],
        ['TUNSETVNETHDRSZ', 1]
      ]
    })
  await expect(open()).rejects.toMatchObject({ code: 'EINVAL', syscall: 'ioctl(TUNSETVNETHDRSZ)' })
  expect(ipLink('undo0')).toBeUndefined()
  ip(undefined, 'tuntap', 'add', 'name', 'undo0', 'mode', 'tap')
  await expect(open()).rejects.toMatchObject({ code: 'EINVAL' })
  expect(ipLink('undo0')).toBeDefined()
})

test.each([
  ['a NUL in the name', { name: 'undo0\0' }],
  ['flags of more than 16 bits', { flags: 0x11002 }]
])('%s is refused', (_, wrong) => {
  const options = { netns: -1, name: 'undo0', flags: 0x1002, exclusive: true, queues: 1, index: 0, disableIpv6: true }
  expect(() => addon().openTun({ ...options, ioctls: [], ...wrong })).toThrow(TypeError)
})
