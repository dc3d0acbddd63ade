/** The dnsmasq that is installed. */
import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { LinkwrightError } from '../../errors.js'

const run = promisify(execFile)

/** Ordinary users have these not in their PATH. */
const SYSTEM = ['/usr/sbin', '/usr/local/sbin', '/sbin']

/** Milliseconds for a look at a file. */
const TEST_TIMEOUT = 10_000

/** @throws LinkwrightError `ERR_NOT_INSTALLED` */
export async function findDnsmasq(given: string | undefined): Promise<string> {
  const folders = [...(process.env['PATH'] ?? '').split(':').filter(path => path.startsWith('/')), ...SYSTEM]
  const candidates = given === undefined ? folders.map(folder => join(folder, 'dnsmasq')) : [given]
  for (const path of candidates) {
    const executable = await access(path, constants.X_OK).then(
      () => true,
      () => false
    )
    if (executable) return path
  }
  throw new LinkwrightError(
    given === undefined
      ? 'dnsmasq is not installed: apt-get install dnsmasq-base (elsewhere the package is called dnsmasq)'
      : `${given} is no program that may be run`,
    { code: 'ERR_NOT_INSTALLED', path: given === undefined ? undefined : 'program', link: given }
  )
}

/**
 * Lets dnsmasq itself look at a configuration.
 *
 * @throws LinkwrightError `ERR_INVALID_CONFIGURATION` with its words
 */
export async function testConfiguration(program: string, file: string): Promise<void> {
  try {
    const { stderr } = await run(program, ['--test', `--conf-file=${file}`], {
      timeout: TEST_TIMEOUT,
      env: { ...process.env, LC_ALL: 'C' }
    })
    // Another program may take any arguments.
    if (!stderr.includes('syntax check OK')) throw Object.assign(new Error('not dnsmasq'), { stderr })
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string }
    const words = stderr.trim() || message
    throw new LinkwrightError(`${program} refuses its configuration: ${words}`, {
      code: 'ERR_INVALID_CONFIGURATION',
      link: program,
      diagnosis: stderr.includes('dnsmasq') ? undefined : `${program} is not dnsmasq`,
      cause: error
    })
  }
}
