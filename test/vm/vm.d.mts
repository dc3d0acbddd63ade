export interface VmOptions {
  /** Beside PATH, HOME=/tmp, TMPDIR=/tmp, CI and LINKWRIGHT_VM=1. */
  env?: Record<string, string>
  /** ms, boot included. */
  timeout?: number
  /** MiB. */
  memory?: number
  cpus?: number
  /** The checkout by default. */
  cwd?: string
  /** Gets both output streams as they come. */
  onOutput?: (text: string) => void
}

export interface VmResult {
  /** Of the command; 124 when the time was up. */
  status: number
  output: string
  /** The kernel's console. */
  log: string
}

/** Why no VM can be run here, or null; installs what it may. */
export function whyNoVm(): Promise<string | null>

/** Runs a command as root in a VM with the whole file system of this machine; what it writes is gone afterwards. */
export function runInVm(command: readonly string[], options?: VmOptions): Promise<VmResult>
