// Who takes part in the `links` suite. prepare() gives two command lines, or throws the reason why the subject cannot take
// part: `verbs`, to which <workload> <count> <kind> <helper> are appended, and `provision`, to which provision <workload>
// <peer> <helper> are. `deletes`: how many are enough of those that are deleted one by one.
import { join } from 'node:path'
import { compileC, compileGo, installPackage } from '../build.mjs'
import { bench } from '../paths.mjs'
import { run } from '../process.mjs'

const SOURCES = [
  'limit/links.c',
  'limit/topology.c',
  'limit/rtnl.c',
  'limit/program.c',
  'limit/provision.c',
  'limit/provision_taps.c',
  'limit/provision_links.c',
  'limit/provision_setup.c',
  'limit/list.c',
  'limit/tap.c',
  'limit/provision.h',
  'limit/tap.h',
  'limit/topology.h',
  'limit/rtnl.h',
  'limit/program.h'
]

export const compileLimit = () => compileC('links-limit', SOURCES, ['mnl'])

const node = script => [process.execPath, join(bench, script)]

const PYTHON = '/usr/bin/python3'

const both = (command, provision = command) => ({ verbs: command, provision })

const ONE_BY_ONE = { taps: 25, macvtaps: 25, veth: 25, bridges: 2 }

// The peers' users leave IPv6 on; this is for whoever sets it off in all the namespace.
const IPV6_OFF = { isPeer: false, isVariant: true, ipv6: false, takesPart: workload => workload.provisions === 'taps' }

// Ways to delete faster that are open to whoever thinks of them; what is created, and how, is the same.
const FAST_DELETION = {
  isPeer: false,
  isVariant: true,
  deletes: undefined,
  reports: 'delete',
  takesPart: workload => workload.provisions !== undefined && !workload.growth
}

async function prepareIp() {
  await run('ip', ['-Version'])
  return both(node('peers/ip-batch.mjs'), node('peers/ip-provision.mjs'))
}

const ip = {
  id: 'ip',
  name: 'ip -batch',
  isPeer: true,
  persistentTaps: true,
  deletes: ONE_BY_ONE,
  prepare: prepareIp
}

const vishvananda = {
  id: 'vishvananda',
  name: 'vishvananda/netlink (Go)',
  isPeer: true,
  deletes: ONE_BY_ONE,
  prepare: async () => both([await compileGo('links-vishvananda', 'peers/vishvananda')])
}

const notGrowth = workload => !workload.growth

export const subjects = [
  {
    id: 'linkwright',
    name: 'linkwright',
    isOurs: true,
    prepare: () => both(node('subjects/linkwright.mjs'), node('subjects/provision.mjs'))
  },
  { id: 'limit', name: 'limit (C)', isLimit: true, prepare: async () => both([await compileLimit()]) },
  ip,
  vishvananda,
  {
    id: 'pyroute2',
    name: 'pyroute2',
    isPeer: true,
    persistentTaps: true,
    counts: { get: 1_000, dump: 1 },
    deletes: ONE_BY_ONE,
    async prepare() {
      await run(PYTHON, ['-c', 'import pyroute2'])
      return both(...['links', 'provision'].map(part => [PYTHON, join(bench, `peers/pyroute2_${part}.py`)]))
    }
  },
  {
    id: 'netlink',
    name: 'netlink (npm)',
    isPeer: true,
    deletes: ONE_BY_ONE,
    cannot: { taps: 'it speaks netlink only, and opens no TAP' },
    takesPart: notGrowth,
    async prepare() {
      await installPackage('netlink')
      return both(node('peers/netlink.mjs'), node('peers/netlink-provision.mjs'))
    }
  },
  {
    id: 'iproute',
    name: 'iproute (npm)',
    isPeer: true,
    counts: { get: 100 },
    takesPart: workload => !workload.provisions,
    async prepare() {
      await installPackage('iproute')
      return both(node('peers/iproute.mjs'))
    }
  },
  { ...ip, ...IPV6_OFF, id: 'ip-no-ipv6', name: 'ip -batch, IPv6 off' },
  { ...vishvananda, ...IPV6_OFF, id: 'vishvananda-no-ipv6', name: 'vishvananda, IPv6 off' },
  {
    ...ip,
    ...FAST_DELETION,
    id: 'ip-group',
    name: 'ip -batch, by group',
    async prepare() {
      const { verbs, provision } = await prepareIp()
      return both(verbs, [...provision, '--by-group'])
    }
  },
  {
    ...vishvananda,
    ...FAST_DELETION,
    id: 'vishvananda-32',
    name: 'vishvananda, 32 goroutines',
    async prepare() {
      const { verbs, provision } = await vishvananda.prepare()
      return both(verbs, ['env', 'WORKERS=32', ...provision])
    }
  }
]
