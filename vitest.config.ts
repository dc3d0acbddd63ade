import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // A native crash takes down one file, and files share the machine's one RTNL lock: one after the other.
    pool: 'forks',
    fileParallelism: false,
    maxWorkers: 1,
    execArgv: ['--expose-gc'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    include: ['test/**/*.test.ts'],
    // Kernel timers and emulated guests on a busy machine; vitest says what it had to repeat.
    retry: process.env['CI'] ? 1 : 0
  }
})
