// Links as they are provisioned: creation and deletion of many that are there at a time. `provisions` names what is made
// (provision-names.mjs), `count` how many.
const QUICK = { 100: 50, 1000: 200, 3000: 600, 10000: 2000 }

const NAMES = { taps: 'TAPs', macvtaps: 'macvtaps' }

const GROWTH_ROUNDS = 3
const SLOW = 3_000 // from here on others than linkwright and the limit take part in one round: minutes, at 10,000

const metric = (workload, key, title, { unit, bars, series }) => ({
  name: `${workload}-${key}`,
  key,
  unit,
  better: 'higher',
  figure: bars && key,
  title: `${title} links`,
  panel: bars,
  // For deletion the peers' number is not that of the links that are there.
  line: series && key === 'create' && { figure: `growth-${series}`, title: `${title} ${NAMES[series]}: time of each` }
})

function workload(name, provisions, count, { growth = false, ...how }) {
  return {
    name,
    provisions,
    count: { full: count, quick: how.quick ?? QUICK[count] },
    growth,
    rounds: growth ? GROWTH_ROUNDS : undefined,
    roundsOfOthers: count >= SLOW ? 1 : undefined,
    group: growth ? 'growth' : undefined,
    metrics: [metric(name, 'create', 'Creating', how), metric(name, 'delete', 'Deleting', how)]
  }
}

const links = series => ({ unit: 'links/s', series })

export const provisionWorkloads = [
  workload('taps', 'taps', 1_000, { ...links('taps'), bars: '1,000 TAPs, attached and up' }),
  workload('macvtaps', 'macvtaps', 1_000, { ...links('macvtaps'), bars: '1,000 macvtaps' }),
  workload('veth', 'veth', 1_000, { unit: 'pairs/s', bars: '1,000 veth pairs' }),
  workload('bridges', 'bridges', 100, { unit: 'bridges/s', quick: 20, bars: '100 bridges with 10 ports each' }),
  ...['taps', 'macvtaps'].flatMap(kind =>
    [100, 3_000, 10_000].map(count => workload(`${kind}-${count}`, kind, count, { ...links(kind), growth: true }))
  )
]
