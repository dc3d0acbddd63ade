/** Offloads by a word. */
import { probeOffloads } from './offload-probe.js'
import {
  OFFLOAD_PRESETS,
  type OffloadPreset,
  type Offloads,
  type QueueOptions,
  type ResolvedOptions
} from './queue-options.js'

/** What a word stands for on this kernel. */
export async function presetOffloads(preset: OffloadPreset): Promise<Offloads> {
  if (preset !== 'auto') return OFFLOAD_PRESETS[preset]
  try {
    return (await probeOffloads()).offloads
  } catch {
    // What may not be tried is not proved. Who wants to know why asks for the probe.
    return {}
  }
}

/** Options, which were checked, with the offloads that a word stands for. Never rejects. */
export async function resolveOffloads<T extends QueueOptions>(options: T): Promise<ResolvedOptions<T>> {
  const { offloads, ...rest } = options
  if (typeof offloads !== 'string') return { ...rest, offloads }
  return { ...rest, offloads: await presetOffloads(offloads) }
}
