/** Many macvtap descriptors at once. */
import { expect, onTestFinished, test } from 'vitest'
import { type CreateLink, Macvtap } from '../../lib/index.js'
import { askDescriptor } from './support/descriptor.js'
import { openNetlink } from './support/devices.js'
import { createLower } from './support/lower.js'
import { needsMacvtap } from './support/needs.js'
import { createNetns } from './support/netns.js'
import { newFiles, openFiles } from './support/system.js'

needsMacvtap()

async function openMany(...given: Parameters<typeof Macvtap.openMany>) {
  const results = await Macvtap.openMany(...given)
  onTestFinished(() =>
    Macvtap.closeMany(results.flatMap(result => (result.status === 'fulfilled' ? result.value : [])))
  )
  return results
}

async function makeLinks(netns: string | undefined, count: number) {
  const lower = createLower(netns)
  const net = await openNetlink({ netns })
  const specs = Array.from(
    { length: count },
    (_, i): CreateLink => ({ kind: 'macvtap', name: `mm${i}`, link: lower.name, mode: 'bridge' })
  )
  const made = await net.links.createMany(specs, { onError: 'undo' })
  const links = made.flatMap(result => (result.status === 'fulfilled' ? result.value : []))
  onTestFinished(async () => void (await net.links.deleteMany(links, { ifExists: true })))
  return { net, links }
}

test('each is the device of its link, in its namespace', async () => {
  const here = await makeLinks(undefined, 70)
  const there = await makeLinks(createNetns(), 30)
  const specs = [...here.links.map(link => ({ link })), ...there.links.map(link => ({ link, net: there.net }))]
  const results = await openMany(specs)
  expect(results).toHaveLength(100)
  for (const [i, result] of results.entries()) {
    if (result.status === 'rejected') throw result.reason
    const link = specs[i]?.link
    expect(result.value).toMatchObject({ name: link?.name, index: link?.index })
    expect(askDescriptor(result.value.fd)).toMatchObject({ name: link?.name, mac: link?.address })
  }
  await here.net.links.deleteMany(here.links)
})

test('each has a result, or none is opened', async () => {
  const { links, net } = await makeLinks(createNetns(), 3)
  const specs = [...links.map(link => ({ link, net })), { link: 'nobody', net }]
  const before = openFiles()
  const kept = await openMany(specs)
  expect(kept.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
  expect((kept[3] as PromiseRejectedResult).reason).toMatchObject({ code: 'ENODEV', item: 3 })
  await Macvtap.closeMany(kept.flatMap(result => (result.status === 'fulfilled' ? result.value : [])))
  const undone = await openMany(specs, { onError: 'undo' })
  expect(undone.map(result => (result as PromiseRejectedResult).reason.code)).toEqual([
    'ERR_UNDONE',
    'ERR_UNDONE',
    'ERR_UNDONE',
    'ENODEV'
  ])
  await expect.poll(() => newFiles(before)).toEqual([])
})
