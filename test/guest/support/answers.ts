/** Which addresses answer a ping: all are asked at a time, so that silence is waited for once. */
import { expect } from 'vitest'
import { runAt, type Station } from './pings.js'

/** Seconds, one a try: who answers is often asked once only, who is silent has to stay it. */
const PATIENCE = 20
const SILENCE = 2

const SCRIPT = `
now() { read now rest </proc/uptime; now=\${now%.*}; }
probe() {
  family=-4; case $1 in *:*) family=-6;; esac
  now; end=$((now + $2))
  until busybox ping $family -q -c 1 -W 1 $3 $1 >/dev/null 2>&1; do
    now; [ $now -ge $end ] && return
    busybox usleep 100000
  done
  echo $1
}
`

export interface Expected {
  readonly answer?: readonly string[]
  readonly silent?: readonly string[]
}

/** @param options of ping, for all */
export async function expectAnswers(from: Station, expected: Expected, options = ''): Promise<void> {
  const { answer = [], silent = [] } = expected
  const probes = [...answer.map(to => `probe ${to} ${PATIENCE}`), ...silent.map(to => `probe ${to} ${SILENCE}`)]
  const output = await runAt(from, `${SCRIPT}${probes.map(probe => `${probe} "${options}" &\n`).join('')}wait`)
  expect(output.split('\n').filter(Boolean).sort(), 'who answered').toEqual([...answer].sort())
}
