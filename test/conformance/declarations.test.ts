/** The declarations that are published: valid for the strictest consumer, and without what is ours alone. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const DIST = fileURLToPath(new URL('../../dist/', import.meta.url))
const TSC = createRequire(import.meta.url).resolve('typescript/bin/tsc')
const TYPES = fileURLToPath(new URL('../../node_modules/@types', import.meta.url))

/** What the compiler says of a module that uses the package. */
function compile(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'linkwright-types-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const compilerOptions = {
    ...{ target: 'es2022', lib: ['es2023', 'esnext.disposable'], module: 'nodenext', noEmit: true },
    ...{ strict: true, skipLibCheck: false, exactOptionalPropertyTypes: true, types: ['node'], typeRoots: [TYPES] }
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.mts'] }))
  writeFileSync(join(folder, 'consumer.mts'), source.replaceAll("'linkwright'", JSON.stringify(`${DIST}index.js`)))
  return spawnSync(process.execPath, [TSC, '-p', folder], { encoding: 'utf8' }).stdout
}

test('they compile', () => {
  const source = `
    import type * as everything from 'linkwright'
    import { Netlink, NetlinkSocket, Tap } from 'linkwright'
    export type Everything = typeof everything
    export const opened: [Promise<Netlink>, Promise<NetlinkSocket>, Promise<Tap>] =
      [Netlink.open(), NetlinkSocket.open(), Tap.open()]
    // @ts-expect-error only by open()
    new NetlinkSocket()
    // @ts-expect-error only by open()
    new Tap()
    declare const socket: NetlinkSocket
    // @ts-expect-error internal
    socket.native`
  expect(compile(source)).toBe('')
})

test('what is internal is not among them', () => {
  const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.d.ts'))
  expect(files).toContain('index.d.ts')
  for (const file of files) expect(readFileSync(join(DIST, file), 'utf8'), file).not.toContain('@internal')
})
