/** The node of a macvtap, `/dev/tapN`: named after the ifindex, which every namespace counts for itself. */
import { addon } from '../../addon.js'
import type { Diagnosis } from './diagnosis.js'
import type { Situation } from './situation.js'

export async function macvtapNode({ net, link }: Situation): Promise<Diagnosis[]> {
  const { name = '', index, address, kind } = link
  if ((kind !== 'macvtap' && kind !== 'ipvtap') || address === undefined) return []
  // Whoever has it open has found it.
  if ((await net.links.holders([index]))[0]?.held !== false) return []
  const numbers = await numbersOf(net, { name, index, address })
  if (!numbers || numbers.node === numbers.link) return []
  const node = `/dev/tap${index}`
  const [major, minor] = numbers.link.split(':')
  const remedy = `open it with Macvtap.open() and hand over the descriptor, or: mknod /dev/${name} c ${major} ${minor}`
  const evidence = { node, nodeDevice: numbers.node, device: numbers.link }
  if (numbers.node === '') {
    return [{ code: 'node-missing', message: `there is no ${node} to open ${name} by`, about: name, evidence, remedy }]
  }
  const message = `${node} is the link of another namespace (${numbers.node}): who opens it for ${name} (${numbers.link}) has the frames of that`
  return [{ code: 'node-of-another', message, about: name, evidence, remedy }]
}

/** `undefined` where the namespace does not tell. */
async function numbersOf(
  net: Situation['net'],
  { name, index, address }: { name: string; index: number; address: string }
): Promise<{ link: string; node: string } | undefined> {
  const netns = await net.openNetns()
  try {
    const bytes = Uint8Array.from(address.split(':'), byte => Number.parseInt(byte, 16))
    return await addon().macvtapNumbers({ netns: netns.fds[0] as number, name, index, address: bytes })
  } catch (error) {
    if ((error as { errno?: number }).errno === undefined) throw error
    return undefined
  } finally {
    await netns.close()
  }
}
