// Who takes part in the `links` suite. prepare() gives the command line to which <workload> <count> <kind> <helper>
// are appended, or throws the reason why the subject cannot take part.
import { join } from 'node:path'
import { compileC, compileGo, installPackage } from '../build.mjs'
import { bench } from '../paths.mjs'
import { run } from '../process.mjs'

const SOURCES = [
  'limit/links.c',
  'limit/topology.c',
  'limit/rtnl.c',
  'limit/program.c',
  'limit/topology.h',
  'limit/rtnl.h',
  'limit/program.h'
]

export const compileLimit = () => compileC('links-limit', SOURCES, ['mnl'])

const node = script => [process.execPath, join(bench, script)]

export const subjects = [
  { id: 'linkwright', name: 'linkwright', isOurs: true, prepare: () => node('subjects/linkwright.mjs') },
  { id: 'limit', name: 'limit (C)', isLimit: true, prepare: async () => [await compileLimit()] },
  {
    id: 'ip',
    name: 'ip -batch',
    async prepare() {
      await run('ip', ['-Version'])
      return node('peers/ip-batch.mjs')
    }
  },
  {
    id: 'vishvananda',
    name: 'vishvananda/netlink (Go)',
    prepare: async () => [await compileGo('links-vishvananda', 'peers/vishvananda')]
  },
  {
    id: 'pyroute2',
    name: 'pyroute2',
    counts: { get: 1_000, dump: 1 },
    async prepare() {
      await run('/usr/bin/python3', ['-c', 'import pyroute2'])
      return ['/usr/bin/python3', join(bench, 'peers/pyroute2_links.py')]
    }
  },
  {
    id: 'netlink',
    name: 'netlink (npm)',
    async prepare() {
      await installPackage('netlink')
      return node('peers/netlink.mjs')
    }
  },
  {
    id: 'iproute',
    name: 'iproute (npm)',
    counts: { get: 100 },
    async prepare() {
      await installPackage('iproute')
      return node('peers/iproute.mjs')
    }
  }
]
