/** Writes lib/rtnetlink/kinds/index.ts, so that adding a link kind touches one file. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

const folder = new URL('../lib/rtnetlink/kinds/', import.meta.url)
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
