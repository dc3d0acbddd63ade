/** Counters as the guest sees them: what the host's side of its port sends, it receives. */
import type { Link } from '../../link/link.js'

/** Packets and bytes since the port was made. */
export interface GuestCounters {
  readonly rxPackets: bigint
  readonly rxBytes: bigint
  readonly rxErrors: bigint
  readonly rxDropped: bigint
  readonly txPackets: bigint
  readonly txBytes: bigint
  readonly txErrors: bigint
  readonly txDropped: bigint
}

export function guestCountersOf({ stats64 }: Link): GuestCounters {
  const { rxPackets = 0n, rxBytes = 0n, rxErrors = 0n, rxDropped = 0n } = stats64 ?? {}
  const { txPackets = 0n, txBytes = 0n, txErrors = 0n, txDropped = 0n } = stats64 ?? {}
  return {
    rxPackets: BigInt(txPackets),
    rxBytes: BigInt(txBytes),
    rxErrors: BigInt(txErrors),
    rxDropped: BigInt(txDropped),
    txPackets: BigInt(rxPackets),
    txBytes: BigInt(rxBytes),
    txErrors: BigInt(rxErrors),
    txDropped: BigInt(rxDropped)
  }
}
