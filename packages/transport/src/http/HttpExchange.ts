/**
 * One HTTP request and its reply, whatever the version of HTTP: the seam between the wires and everything that is not gRPC (REST, gRPC-Web,
 * Connect, health, a user's own routes). A body is either whole (`readBody`, `respond`) or comes and goes in parts under flow control
 * (`readStream` and `consumed`; `start`, `write`, `finish`).
 */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import type { Origin } from "../Origin.ts"

export interface HttpExchange {
  readonly version: 1 | 2
  readonly method: string
  /** As sent: path and query, still percent-encoded. */
  readonly target: string
  readonly scheme: string
  readonly authority: string
  /** Flat list of header fields, names in lower case. */
  readonly fields: ReadonlyArray<string>
  readonly origin: Origin
  /** Puts an origin in place of the connection's; `scheme` and `authority` follow it. */
  readonly setOrigin: (origin: Origin) => void
  /** The first value of a header; `name` in lower case. */
  readonly header: (name: string) => string | undefined
  /** Reads the body: empty when there is none, an error of 413 when it is longer than `maxBytes`. Called once; `done` at most once, never after an abort. */
  readonly readBody: (maxBytes: number, done: (body: Uint8Array | KratosError) => void) => void
  /** Sends the reply, head and body in one write, and the body's length if `fields` has none. For HEAD only the head goes out. Without effect when the client is gone. */
  readonly respond: (status: number, fields: ReadonlyArray<readonly [string, string]>, body: Uint8Array) => void
  /** Asks to be told when the client goes away before the reply is sent. */
  readonly whenAborted: (listener: () => void) => void
  /**
   * Reads the body as it comes, in place of `readBody`. A client may be ahead of `consumed` by a window of its connection. Must be called in the
   * tick in which the exchange was handed over; the reader's `onEnd` may come before it returns, and never comes after an abort.
   */
  readonly readStream: (reader: BodyReader) => void
  /** So many bytes of a body that `readStream` reads have been taken: as many more may come. */
  readonly consumed: (bytes: number) => void
  /** Begins a reply in parts. The head goes out with the first part, or soon without one. */
  readonly start: (status: number, fields: ReadonlyArray<readonly [string, string]>) => void
  /** Sends a part, by reference. False when the client is slow: the part is kept all the same, and `whenDrained` tells when to go on. */
  readonly write: (chunk: Uint8Array) => boolean
  /** Asks to be told, each time, that what `write` had to keep has gone out. */
  readonly whenDrained: (listener: () => void) => void
  /** Ends a reply in parts, with a last one. */
  readonly finish: (last: Uint8Array) => void
  /** Breaks the exchange off: the client sees that its reply is not complete. */
  readonly reset: () => void
  /** Adds fields to the reply, whoever gives it. */
  readonly addFields: (fields: ReadonlyArray<readonly [string, string]>) => void
}

/** What hears of a body that comes in parts. */
export interface BodyReader {
  /** A part: a view that is valid only during the call. */
  readonly onData: (chunk: Uint8Array) => void
  readonly onEnd: () => void
}

/** What takes an exchange. */
export type Handler = (exchange: HttpExchange) => void

/** Whether a reply says how long its body is, or has a status under which there is none. */
export const hasLength = (status: number, fields: ReadonlyArray<readonly [string, string]>): boolean => {
  if (status === 204 || status === 304) return true
  for (let i = 0; i < fields.length; i++) if (fields[i]![0] === "content-length") return true
  return false
}

/** The fields of a reply that has a body, its length among them. */
export const withLength = (
  status: number,
  fields: ReadonlyArray<readonly [string, string]>,
  body: Uint8Array
): ReadonlyArray<readonly [string, string]> =>
  body.length === 0 || hasLength(status, fields) ? fields : [...fields, ["content-length", String(body.length)]]

export const EMPTY: Uint8Array = new Uint8Array(0)
