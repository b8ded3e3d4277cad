/** The way of a client's calls to the nodes of a target, whatever version of HTTP they speak. */
import type { CallShape } from "@effect-kratos/core/Call"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import type { Try } from "@effect-kratos/core/selector/Selector"
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import type * as Effect from "effect/Effect"
import type { Wait } from "./Channel.ts"
import type { ClientExchange, ClientStream, Field } from "./ClientProtocol.ts"
import type { DeadlineTimers } from "./DeadlineTimers.ts"

export interface ClientRoute<Head> {
  readonly target: string
  readonly timers: DeadlineTimers
  /** What takes a call without waiting, if there is such a thing. */
  readonly ready: (call: CallShape) => Carrier<Head> | undefined
  /** The same, waiting for it. */
  readonly connection: (wait: Wait) => Effect.Effect<Carrier<Head>, KratosError>
}

/** Takes calls to one node. */
export interface Carrier<in Head> {
  readonly address: string
  readonly authority: string
  readonly scheme: "http" | "https"
  /** It takes calls, now or later. */
  readonly usable: () => boolean
  /** A call is sent to the node: the attempt must be ended. */
  readonly begin: (call: CallShape) => Try<unknown>
  /** Sends a request; undefined when no more are taken at present. */
  readonly request: (head: Head, exchange: ClientExchange, body: Uint8Array | undefined, endStream: boolean) => ClientStream | undefined
}

/** How the heads of requests are kept. */
export interface HeadForm<Head> {
  /** A head with pseudo fields as in HTTP/2; `reuse` for one that is sent many times. */
  readonly make: (fields: ReadonlyArray<Field>, reuse: boolean) => Head
  readonly extend: (head: Head, fields: ReadonlyArray<Field>) => Head
}

export const http2: HeadForm<HeaderBlock> = {
  make: (fields, reuse) => HeaderBlock.make(fields, { reuse }),
  extend: (head, fields) => head.extend(fields)
}
