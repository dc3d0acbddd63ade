// What the `links` suite measures. ifb links: of all kinds here they cost the kernel least to create and to delete.
const kind = 'ifb'
const rate = (count, seconds) => count / seconds

export const workloads = [
  {
    name: 'create-delete',
    unit: 'operations/s',
    better: 'higher',
    kind,
    count: { full: 25, quick: 5 }, // a deletion waits 15-20 ms for RCU
    value: rate,
    creates: true,
    leaves: false
  },
  {
    name: 'get',
    unit: 'requests/s',
    better: 'higher',
    kind,
    count: { full: 20_000, quick: 1_000 },
    setup: { full: 100, quick: 100 }, // get0 ... get99, asked for in turn
    value: rate
  },
  {
    name: 'create-batch',
    unit: 'links/s',
    better: 'higher',
    kind,
    count: { full: 1_000, quick: 200 },
    value: rate,
    creates: true,
    leaves: true
  },
  {
    name: 'dump',
    unit: 'ms',
    better: 'lower',
    kind,
    count: { full: 20, quick: 5 }, // dumps per run, and before it; the value is the time of one
    setup: { full: 4_000, quick: 1_000 },
    value: (count, seconds) => (seconds * 1000) / count
  }
]
