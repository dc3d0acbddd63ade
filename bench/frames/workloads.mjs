// What the `frames` suite measures.
const SIZES = [64, 512, 1514]

const RATE = { unit: 'frames/s', better: 'higher' }

const perSize = make => SIZES.map(size => ({ size, ...make(size, `${size} bytes`) }))

const rate = (kind, title) =>
  perSize((size, panel) => ({ name: `${kind}-${size}`, group: kind, kind, figure: kind, title, panel, ...RATE }))

// Several metrics of one measurement: what follows the kind in their names, and what the sample calls them.
const several = (kind, parts) =>
  perSize((size, panel) => ({
    name: `${kind}-${size}`,
    group: kind,
    kind,
    metrics: parts.map(({ part, ...rest }) => ({
      name: `${kind}-${part}-${size}`,
      figure: `${kind}-${part}`,
      panel,
      ...rest
    }))
  }))

/** The queue of a TAP as the kernel makes it (txqueuelen), in frames. */
export const QUEUE = 1000

/** Frames in a burst: the kernel frees up to 16 places of a queue late, and 15 batches of 64 come out even. */
export const BURST = 960

/** The longest frame of the tunnel's TAPs fits, with all headers, into the 1500 bytes of the network below. */
export const TUNNEL_MTU = 1400

const MEGABYTES = { unit: 'MB/Mframe', better: 'lower' }

export const workloads = [
  ...rate('read', 'Reading in batches, counting by EtherType'),
  ...rate('write', 'Writing in batches'),
  ...rate('forward', 'Forwarding A to B, the program decides by both MAC addresses'),
  ...rate('pipe', 'Forwarding A to B'),
  ...rate('switch', 'A switch of 8 ports and 1,000 MAC addresses, beside the pipe in C'),
  { name: 'tcp', kind: 'tcp', title: 'TCP between two namespaces', unit: 'Gbit/s', better: 'higher' },
  { name: 'tunnel', kind: 'tunnel', title: 'TCP in a tunnel over UDP', unit: 'Gbit/s', better: 'higher' },
  ...several('echo', [
    { part: 'p50', key: 'p50', title: 'Echo: median round trip', unit: 'us', better: 'lower' },
    { part: 'p99', key: 'p99', title: 'Echo: round trip, 99th percentile', unit: 'us', better: 'lower' }
  ]),
  ...several('flood', [
    { part: 'rate', key: 'rate', title: 'Flood: frames read', ...RATE },
    { part: 'heap', key: 'heap', title: 'Flood: growth of the JavaScript heap', ...MEGABYTES },
    { part: 'garbage', key: 'garbage', title: 'Flood: allocated in the JavaScript heap', ...MEGABYTES },
    { part: 'loop', key: 'loopP99', title: 'Flood: delay of timers, 99th percentile', unit: 'ms', better: 'lower' }
  ])
]
