/** Throws in a listener of a port. */
import { Netlink, Pipe, Tap } from '../../../dist/index.js'

const net = await Netlink.open()
const pipe = await Pipe.open(await Tap.open({ name: 'ft0', up: true }), await Tap.open({ name: 'ft1', up: true }))
pipe.a.on('down', () => {
  throw new Error('on purpose')
})
await net.links.down('ft0')
