/** What a plan has to say before it is applied. */

export interface Finding {
  /** `already-a-port`, `dhcp-client`; see the planner. */
  readonly code: string
  /** In a sentence. */
  readonly message: string
  /** What it is about: a link, an address, a route. */
  readonly about?: string | undefined
}
