/** What the kernel's headers of this system say, asked by compiled C programs. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../conformance/', import.meta.url))

/** Why headers cannot be asked here, or undefined. */
export function compilerMissing(): string | undefined {
  const source = '#include <linux/if_link.h>\n'
  const { error, status, stderr } = spawnSync('cc', ['-fsyntax-only', '-xc', '-'], { input: source, encoding: 'utf8' })
  if (error) return 'cc is not installed'
  return status === 0 ? undefined : `the kernel's headers are not installed: ${stderr}`
}

/** Compiles and runs a C program of test/conformance with arguments for the compiler. */
export function runC(source: string, ...flags: string[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'linkwright-c-'))
  try {
    const program = join(directory, 'program')
    const built = spawnSync('cc', ['-o', program, ...flags, folder + source], { encoding: 'utf8' })
    if (built.status !== 0) throw new Error(built.stderr)
    const { status, stdout } = spawnSync(program, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`${source} failed`)
    return stdout
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** The values of those constants that the headers know. */
export function constants(names: Iterable<string>): Map<string, number> {
  const directory = mkdtempSync(join(tmpdir(), 'linkwright-c-'))
  try {
    const list = join(directory, 'names.h')
    const flag = `-DNAMES="${list}"`
    let wanted = [...new Set(names)]
    writeFileSync(list, wanted.map(name => `X(${name})\n`).join(''))
    const check = spawnSync('cc', ['-fsyntax-only', '-fmax-errors=0', flag, `${folder}constants.c`], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' }
    })
    const unknown = new Set([...check.stderr.matchAll(/error: '(\w+)' undeclared/g)].map(match => match[1]))
    wanted = wanted.filter(name => !unknown.has(name))
    writeFileSync(list, wanted.map(name => `X(${name})\n`).join(''))
    const lines = runC('constants.c', flag).trim().split('\n')
    return new Map(lines.map(line => line.split(' ') as [string, string]).map(([name, value]) => [name, Number(value)]))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

let enums: string[][] | undefined

/** All names of the enum that `member` is in. */
export function enumOf(member: string): string[] {
  enums ??= [
    ...spawnSync('cc', ['-E', '-P', '-DNAMES="/dev/null"', `${folder}constants.c`], {
      encoding: 'utf8'
    }).stdout.matchAll(/enum\s*\w*\s*\{([^}]*)\}/g)
  ].map(([, body = '']) => [...body.matchAll(/(?:^|,)\s*(\w+)/g)].map(match => match[1] as string))
  const found = enums.find(names => names.includes(member))
  if (!found) throw new Error(`no enum of the headers has ${member}`)
  return found
}

/** The kernel release of the headers: `6.1`. */
export function headersRelease(): string {
  const code = constants(['LINUX_VERSION_CODE']).get('LINUX_VERSION_CODE') ?? 0
  return `${code >> 16}.${(code >> 8) & 0xff}`
}
