/** Where a call came in: the connection as servers and aspects see it. */
import type { PeerIdentity } from "@effect-kratos/core/Call"
import type { RequestId } from "./http/RequestId.ts"

export interface Origin {
  /** Address of the client, `host:port`. */
  readonly address: string
  /** The server's own address at which it came in, with its scheme. */
  readonly endpoint: string
  /** Who the client has proved to be by its certificate. */
  readonly identity: PeerIdentity | undefined
  /** What the client asked a proxy in front of us for, where a proxy that is trusted says so. */
  readonly scheme?: string | undefined
  readonly host?: string | undefined
  /** The name of the request, where it has one. */
  readonly requestId?: RequestId | undefined
}
