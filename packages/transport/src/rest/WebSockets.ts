/**
 * The WebSocket routes of a server: which requests open one, who may, and what the others are told. What goes wrong before the handshake is an ordinary
 * HTTP error.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import type { Codecs } from "../codec/Codecs.ts"
import type { DeadlineTimers } from "../DeadlineTimers.ts"
import * as HeaderFields from "../HeaderFields.ts"
import { isNode } from "../http/Http1.ts"
import type { HttpExchange } from "../http/HttpExchange.ts"
import { Incoming, type Operation } from "../Operation.ts"
import * as ErrorBody from "./ErrorBody.ts"
import * as FrameBinding from "./FrameBinding.ts"
import * as HttpBodies from "./HttpBodies.ts"
import type { RestRuleError } from "./RestRuleError.ts"
import * as Router from "./Router.ts"
import * as StreamCodec from "./StreamCodec.ts"
import * as Timeout from "./Timeout.ts"

export interface Options {
  readonly maxMessageBytes: number
  readonly timers: DeadlineTimers
  readonly keepAlive: number
  readonly origins: ReadonlyArray<string> | "*"
  readonly report: (message: string, cause: unknown) => void
  readonly codecs: Codecs
}

export interface WebSockets {
  /** Takes a request for a WebSocket whose path is that of a route; false for all others. */
  readonly open: (exchange: HttpExchange, path: string, query: string) => boolean
  /** Whether a path is that of a route. */
  readonly has: (path: string) => boolean
  readonly shadowed: ReadonlyArray<Router.Route<unknown>>
}

interface Target {
  readonly operation: Operation
  readonly binding: FrameBinding.FrameBinding
  readonly write: StreamCodec.Write
  readonly rawReplies: boolean
}

const VERSION = "13"

export const make = (operations: ReadonlyArray<Operation>, options: Options): Effect.Effect<WebSockets, RestRuleError> =>
  Effect.gen(function* () {
    const routes: Array<Router.Route<Target>> = []
    for (const operation of operations) {
      const { output } = operation.desc
      for (const binding of yield* Effect.fromResult(FrameBinding.fromMethod(operation.desc))) {
        const value = { operation, binding, write: StreamCodec.writer(output), rawReplies: HttpBodies.is(output) }
        routes.push({ method: "GET", template: binding.template, value })
      }
    }
    if (routes.length === 0) return none
    const router = Router.make(routes)
    // Loaded only by servers that need it.
    const { make: makeCalls } = yield* Effect.promise(() => import("./WebSocketCall.ts"))
    const start = makeCalls(options)
    return {
      open: (exchange, path, query) => {
        if (!asksForOne(exchange) || !isNode(exchange)) return false
        const match = router.match("GET", path)
        if (match._tag !== "Found") return false
        const failure = checkHandshake(exchange, options.origins)
        if (failure !== undefined) {
          ErrorBody.respond(exchange, failure, failure.code === 426 ? [["sec-websocket-version", VERSION]] : [], options.codecs)
          return true
        }
        const { operation, ...target } = match.route.value
        const timeout = Timeout.ofExchange(exchange)
        const fields = exchange.fields
        const call = new Incoming(
          "http",
          operation,
          exchange.origin,
          timeout.left === undefined ? undefined : options.timers.now() + timeout.left,
          () => HeaderFields.toMetadata(fields),
          target.binding.template.source,
          "GET"
        )
        call.failure = timeout.failure
        const accept = exchange.header("accept")
        const contentType = exchange.header("content-type")
        const opening = { variables: match.variables, query, contentType, codec: StreamCodec.choose(options.codecs, contentType, accept) }
        start(exchange, call, { ...target, operation, opening, replyCodec: StreamCodec.choose(options.codecs, accept, contentType) })
        return true
      },
      has: (path) => router.match("GET", path)._tag === "Found",
      shadowed: router.shadowed
    }
  })

const none: WebSockets = { open: () => false, has: () => false, shadowed: [] }

/** Answers a GET that should have asked for a WebSocket. */
export const upgradeRequired = (exchange: HttpExchange): void => {
  const error = KratosError.make(426, "", "this method streams: open a WebSocket, which takes HTTP/1.1")
  // a field that HTTP/2 does not have
  ErrorBody.respond(exchange, error, exchange.version === 1 ? [["upgrade", "websocket"]] : [])
}

const asksForOne = (exchange: HttpExchange): boolean =>
  exchange.version === 1 && exchange.method === "GET" && exchange.header("upgrade")?.toLowerCase() === "websocket"

const checkHandshake = (exchange: HttpExchange, origins: Options["origins"]): KratosError.KratosError | undefined => {
  if (exchange.header("sec-websocket-version") !== VERSION)
    return KratosError.make(426, "", `only version ${VERSION} of the WebSocket protocol is supported`)
  const origin = exchange.header("origin")
  // Browsers send cookies along with the handshake, whatever page opens it.
  if (origin === undefined || origins === "*" || origins.includes(origin) || hostOf(origin) === exchange.authority.toLowerCase())
    return undefined
  return KratosError.forbidden("", `pages of ${JSON.stringify(origin.slice(0, 100))} may not open WebSockets here`)
}

const hostOf = (origin: string): string | undefined => /^[a-z][a-z0-9+.-]*:\/\/([^/?#@]+)$/i.exec(origin)?.[1]?.toLowerCase()
