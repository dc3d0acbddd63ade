/** Specs in files: what is read, and where it says that something is wrong. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadSpec, parseSpec } from '../../lib/spec/index.js'
import { tempFolder } from '../tap/support/needs.js'

const YAML = `# Guests of this host
networks:
  virbr0:
    kind: nat
    addresses: [192.168.122.1/24, 'fd00:122::1/64']
    dhcp4:
      ranges:
        - { start: 192.168.122.2, end: 192.168.122.254 }
      lease: .inf
    dns: false
  br0.5:
    kind: bridge
    ports:
      - eth0
    gateway: 192.0.2.254
`

const VALUE = {
  networks: {
    virbr0: {
      kind: 'nat',
      addresses: ['192.168.122.1/24', 'fd00:122::1/64'],
      dhcp4: { ranges: [{ start: '192.168.122.2', end: '192.168.122.254' }], lease: Number.POSITIVE_INFINITY },
      dns: false
    },
    'br0.5': { kind: 'bridge', ports: ['eth0'], gateway: '192.0.2.254' }
  }
}

const wrong = (text: string): string[] => {
  try {
    parseSpec(text, 'net.yaml')
    return []
  } catch (error) {
    const { code, message } = error as Error & { code: string }
    return code === 'ERR_INVALID_SPEC' ? message.split('\n') : [String(error)]
  }
}

test('YAML and JSON say the same', async () => {
  expect(parseSpec(YAML)).toEqual(VALUE)
  const finite = structuredClone(VALUE)
  finite.networks.virbr0.dhcp4.lease = 600
  const file = join(tempFolder(), 'net.json')
  writeFileSync(file, JSON.stringify(finite, null, '\t'))
  expect(await loadSpec(file)).toEqual(finite)
  await expect(loadSpec(`${file}.none`)).rejects.toMatchObject({ code: 'ENOENT' })
})

describe('a mistake is told with its line and path', () => {
  const replaced = (from: string, to: string) => wrong(YAML.replace(from, to))

  test.each([
    ['a value of another type', 'lease: .inf', "lease: 'ever'", 'net.yaml:9:14: networks.virbr0.dhcp4.lease: '],
    [
      'an option that is misspelt',
      'dns: false',
      'dsn: false',
      'net.yaml:10:5: networks.virbr0.dsn: there is no such option'
    ],
    ['another kind', 'kind: bridge', 'kind: bridged', 'net.yaml:12:11: networks.br0.5.kind: '],
    ['what is missing', '    kind: bridge\n', '', 'net.yaml:12:5: networks.br0.5.kind: '],
    [
      'no address',
      '192.168.122.1/24',
      '192.168.122.1',
      'net.yaml:5:17: networks.virbr0.addresses[0]: expected an address with'
    ],
    [
      'a range outside',
      'end: 192.168.122.254',
      'end: 10.0.0.1',
      'net.yaml:8:40: networks.virbr0.dhcp4.ranges[0].end: expected'
    ],
    ['a gateway that is none', 'gateway: 192.0.2.254', 'gateway: 7', 'net.yaml:15:14: networks.br0.5.gateway: '],
    ['a key twice', 'dns: false', 'kind: nat', 'net.yaml:10:5: Map keys must be unique'],
    ['no YAML', 'ports:', 'ports: [', 'net.yaml:']
  ])('%s', (_, from, to, expected) => {
    expect(replaced(from, to)[0]).toContain(expected)
  })

  test('all of them', () => {
    const text = YAML.replace('lease: .inf', 'lease: x').replace('kind: bridge', 'kind: bridged')
    expect(wrong(text).map(line => line.split(' ')[0])).toEqual(['net.yaml:9:14:', 'net.yaml:12:11:'])
  })

  test('inside of what may have several shapes', () => {
    const dns = (text: string) => replaced('dns: false', `dns: ${text}`)[0]
    expect(dns('{ upstream: [{ adress: 192.0.2.1 }] }')).toMatch(
      /^net\.yaml:10:\d+: networks\.virbr0\.dns\.upstream\[0\]\.a/
    )
    expect(dns('{ upstream: 5 }')).toMatch(/^net\.yaml:10:22: networks\.virbr0\.dns\.upstream: /)
    expect(replaced('gateway: 192.0.2.254', 'gateway: [192.0.2.254, 7]')[0]).toMatch(
      /^net\.yaml:15:\d+: networks\.br0\.5\.gateway\[1\]: /
    )
  })

  test('also a name that would be passed over', () => {
    expect(wrong('networks:\n  __proto__:\n    kind: isolated\n')).toEqual([
      'net.yaml:2:3: networks.__proto__: no network can have this name'
    ])
  })

  test('and what is nested beyond all measure', () => {
    for (const text of ['['.repeat(100_000), '{a: '.repeat(20_000), '- '.repeat(20_000)]) {
      expect(wrong(text)).toEqual(['net.yaml:1:1: more than 200 levels within each other'])
    }
    const indented = Array.from({ length: 2000 }, (_, at) => `${' '.repeat(at)}a:`).join('\n')
    expect(wrong(indented)).toEqual(['net.yaml:1:1: more than 200 levels within each other'])
    expect(wrong(`networks: {}\nx: ${'['.repeat(190)}${']'.repeat(190)}`)).toEqual([
      'net.yaml:2:1: x: there is no such option'
    ])
  })

  test('where there is nothing', () => {
    expect(wrong('')[0]).toMatch(/^net\.yaml:1:1: /)
    expect(wrong('networks:\n')[0]).toMatch(/^net\.yaml:1:10: networks: /)
    expect(wrong('- 1\n')[0]).toMatch(/^net\.yaml:1:1: /)
  })

  test('a text that would grow without end is refused', () => {
    const lines = Array.from({ length: 20 }, (_, at) => `a${at + 1}: &a${at + 1} [*a${at}, *a${at}]`)
    expect(wrong(`a0: &a0 [x]\n${lines.join('\n')}\n`)[0]).toMatch(/alias/i)
  })
})
