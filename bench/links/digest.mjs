// One line that differs when any of the five fields of any link was read wrongly; limit/links.c makes the same.
const STATES = ['unknown', 'notpresent', 'down', 'lowerlayerdown', 'testing', 'dormant', 'up']

const sum = (rows, of) => rows.reduce((total, row) => total + of(row), 0)

function stateNumber(state) {
  const number = typeof state === 'string' ? STATES.indexOf(state.toLowerCase()) : state
  if (!(number in STATES)) throw new Error(`operstate ${state}`)
  return number
}

const macBytes = mac => (typeof mac === 'string' ? Buffer.from(mac.replaceAll(':', ''), 'hex') : mac)

export function digest(rows) {
  const mac = Buffer.alloc(6)
  for (const row of rows) for (const [i, byte] of macBytes(row.mac).entries()) mac[i] ^= byte
  return [
    `links=${rows.length}`,
    `names=${sum(rows, row => row.name.length)}`,
    `indexes=${sum(rows, row => row.index)}`,
    `states=${sum(rows, row => stateNumber(row.state))}`,
    `masters=${sum(rows, row => row.master ?? 0)}`,
    `mac=${mac.toString('hex')}`
  ].join(' ')
}

// `ip -json` names the master where netlink gives its index.
export function rowsOfIpJson(links) {
  const indexes = new Map(links.map(link => [link.ifname, link.ifindex]))
  return links.map(link => ({
    name: link.ifname,
    index: link.ifindex,
    state: link.operstate,
    master: indexes.get(link.master),
    mac: link.address
  }))
}
