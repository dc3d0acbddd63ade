/** The house has one way down: nothing imports upwards, and there are no cycles. */
const floors = [
  { name: 'the public face', path: '^lib/index\\.ts$' },
  { name: 'spec files', path: '^lib/spec/' },
  { name: 'host', path: '^lib/(host/|probe\\.ts)' },
  { name: 'forwarding and capture', path: '^lib/(forward|capture)/' },
  { name: 'taps', path: '^lib/tap/' },
  { name: 'frames', path: '^lib/frames/' },
  { name: 'links', path: '^lib/(link|firewall)/' },
  { name: 'netlink', path: '^lib/netlink/' },
  { name: 'schemas', path: '^lib/(rtnetlink|nftables)/' },
  { name: 'codec', path: '^lib/codec/' },
  {
    name: 'errors, namespaces, the addon',
    path: '^lib/(errors|netns|addon|child|kernel-release|options|descriptors|readiness)\\.ts$|^lib/addon/'
  }
]

const upwards = floors.flatMap((floor, level) =>
  floors.slice(0, level).map(above => ({
    name: `${floor.name} must not import ${above.name}`,
    severity: 'error',
    from: { path: floor.path },
    to: { path: above.path }
  }))
)

module.exports = {
  forbidden: [
    { name: 'no cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no runtime dependency',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/spec/' },
      to: { path: 'node_modules', pathNot: '@types' }
    },
    {
      name: 'an export of its own, for its dependencies',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/spec/' },
      to: { path: '^lib/spec/' }
    },
    {
      name: 'spec files: a reader of YAML and a checker of shapes',
      severity: 'error',
      from: { path: '^lib/spec/' },
      to: { path: 'node_modules', pathNot: '@types|node_modules/(yaml|zod)/' }
    },
    ...upwards
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { extensions: ['.ts', '.js'] }
  }
}
