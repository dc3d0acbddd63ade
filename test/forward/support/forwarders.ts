/** Pipes and switches that are closed when the test is over. */
import { onTestFinished } from 'vitest'
import { Pipe, Switch } from '../../../lib/index.js'

export async function openPipe(...options: Parameters<typeof Pipe.open>): Promise<Pipe> {
  const pipe = await Pipe.open(...options)
  onTestFinished(() => pipe.close())
  return pipe
}

export async function openSwitch(...options: Parameters<typeof Switch.open>): Promise<Switch> {
  const opened = await Switch.open(...options)
  onTestFinished(() => opened.close())
  return opened
}
