/**
 * One HTTP request and its reply, whatever the version of HTTP: the seam between the wires and everything that is not gRPC (REST, health,
 * a user's own routes). Bodies are whole on both sides here.
 */
import type { KratosError } from "@effect-kratos/core/error/KratosError"

export interface HttpExchange {
  readonly version: 1 | 2
  readonly method: string
  /** As sent: path and query, still percent-encoded. */
  readonly target: string
  readonly scheme: string
  readonly authority: string
  /** Flat list of header fields, names in lower case. */
  readonly fields: ReadonlyArray<string>
  /** Address of the client, `host:port`. */
  readonly peer: string
  readonly endpoint: string
  /** The first value of a header; `name` in lower case. */
  readonly header: (name: string) => string | undefined
  /** Reads the body: empty when there is none, an error of 413 when it is longer than `maxBytes`. Called once; `done` at most once, never after an abort. */
  readonly readBody: (maxBytes: number, done: (body: Uint8Array | KratosError) => void) => void
  /** Sends the reply, head and body in one write. For HEAD only the head goes out. Without effect when the client is gone. */
  readonly respond: (status: number, fields: ReadonlyArray<readonly [string, string]>, body: Uint8Array) => void
  /** Asks to be told when the client goes away before the reply is sent. */
  readonly whenAborted: (listener: () => void) => void
}

/** What takes an exchange. */
export type Handler = (exchange: HttpExchange) => void

export const EMPTY: Uint8Array = new Uint8Array(0)
