/** Puts the guard's executable beside the prebuilt addon: prebuildify takes `.node` files only. Run by its --postinstall. */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs'

const { PREBUILD_PLATFORM, PREBUILD_ARCH, PREBUILD_LIBC, PREBUILD_STRIP } = process.env
const folder = `prebuilds/${PREBUILD_PLATFORM}-${PREBUILD_ARCH}`
const path = `${folder}/linkwright-guard.${PREBUILD_LIBC}`
mkdirSync(folder, { recursive: true })
copyFileSync('build/Release/linkwright-guard', path)
chmodSync(path, 0o755)
if (PREBUILD_STRIP === '1') execFileSync('strip', [path])
