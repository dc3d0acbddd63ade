// iproute2 where links are provisioned: one `ip -batch` for each step, its start counted. Its TAPs are persistent, since
// nobody is left to hold their descriptors. `--by-group` removes the links as a group.
import { provision } from '../links/provision-frame.mjs'
import { createLines, deleteGroupLines, deleteLines } from './ip-lines.mjs'
import { ipBatch } from './ip-process.mjs'

const byGroup = process.argv[2] === '--by-group'
if (byGroup) process.argv.splice(2, 1)
const toDelete = byGroup ? deleteGroupLines : deleteLines

const work = workload => ({
  create: (peer, count) => ipBatch(createLines(workload, count, peer)),
  delete: (_, count) => ipBatch(toDelete(workload, count))
})

await provision({
  open: peer => peer,
  taps: work('taps'),
  macvtaps: work('macvtaps'),
  veth: work('veth'),
  bridges: work('bridges')
})
