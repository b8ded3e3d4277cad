/** Where a call came in: the connection as servers and aspects see it. */
import type { PeerIdentity } from "@effect-kratos/core/Call"

export interface Origin {
  /** Address of the client, `host:port`. */
  readonly address: string
  /** The server's own address at which it came in, with its scheme. */
  readonly endpoint: string
  /** Who the client has proved to be by its certificate. */
  readonly identity: PeerIdentity | undefined
}
