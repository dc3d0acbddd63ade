/** Ports that are isolated from each other. */
import type { Diagnosis } from './diagnosis.js'
import type { Situation } from './situation.js'

export function isolation({ link, others }: Situation): Diagnosis[] {
  const isolated = others.filter(({ port }) => port?.isolated).map(({ name }) => name)
  if (!link.port?.isolated || isolated.length === 0) return []
  return [
    {
      code: 'port-isolated',
      message: `${link.name} is isolated: it reaches no other isolated port (${isolated.join(', ')})`,
      about: link.name ?? '',
      evidence: { isolated: [link.name, ...isolated] },
      remedy: `bridge link set dev ${link.name} isolated off`
    }
  ]
}
