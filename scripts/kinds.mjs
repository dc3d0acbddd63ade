/** Writes the index.ts of each folder of kinds in lib/rtnetlink, so that adding a kind touches one file. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

for (const name of ['kinds', 'qdiscs', 'filters', 'actions']) {
  const folder = new URL(`../lib/rtnetlink/${name}/`, import.meta.url)
  const names = readdirSync(folder)
    .filter(file => file.endsWith('.ts') && file !== 'index.ts')
    .map(file => file.slice(0, -'.ts'.length))
    .sort()
  const text = `/** Every kind in this folder. Written by scripts/kinds.mjs. */\n${names
    .map(name => `export * from './${name}.js'\n`)
    .join('')}`
  const target = new URL('index.ts', folder)
  let current = ''
  try {
    current = readFileSync(target, 'utf8')
  } catch {}
  if (current !== text) writeFileSync(target, text)
}
