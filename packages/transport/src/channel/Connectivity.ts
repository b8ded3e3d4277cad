/** What a client knows of its nodes, by the names of gRPC (grpc/doc/connectivity-semantics-and-api.md). */
import type { KratosError } from "@effect-kratos/core/error/KratosError"

/**
 * `idle`: no connection, and none is needed; `connecting`; `ready`: calls can go; `transientFailure`: it could not be reached and is left alone for a
 * while.
 */
export type State = "idle" | "connecting" | "ready" | "transientFailure"

export interface NodeState {
  /** `host:port`, or the path of a Unix socket. */
  readonly address: string
  readonly state: State
  /** Connections that take calls. */
  readonly connections: number
  /** Why it could not be reached, until it can. */
  readonly error: KratosError | undefined
}
