/**
 * A user's own `HttpRouter` routes beside the services. HTTP/1.1, WebSockets included, goes through Effect's Node adapter; an HTTP/2 stream becomes a web request,
 * whose body is read up to the server's limit first and whose reply is streamed.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import { MaxBodySize } from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { isNode } from "./http/Http1.ts"
import { Http2Exchange } from "./http/Http2Exchange.ts"
import * as HttpError from "./http/HttpError.ts"
import type { HttpExchange } from "./http/HttpExchange.ts"
import { reason } from "./InFlight.ts"
import { respondError } from "./rest/Server.ts"

export interface Options {
  readonly maxBodyBytes: number
  readonly report: (message: string, cause: unknown) => void
}

/** A handler for the exchanges that no service has a path for; it answers 404 itself where the routes have none either. */
export const make = Effect.fnUntraced(function* <E, R>(routes: Layer.Layer<never, E, R>, options: Options) {
  // One of their own, older than the listener: requests are drained before it closes and interrupts what is left.
  const scope = yield* Scope.fork(yield* Effect.scope)
  const app = yield* HttpRouter.toHttpEffect(routes)
  const context = yield* Effect.context<never>()
  // Loaded only for those who have routes: it brings a WebSocket server with it.
  const { makeHandler, makeUpgradeHandler } = yield* Effect.promise(() => import("@effect/platform-node/NodeHttpServer"))
  const { WebSocketServer } = yield* Effect.promise(() => import("ws"))
  let sockets: InstanceType<typeof WebSocketServer> | undefined
  const webSockets = Effect.sync(() => (sockets ??= new WebSocketServer({ noServer: true, maxPayload: options.maxBodyBytes })))
  // What the routes need was taken from the context when they were built.
  const limited = Effect.provideService(MaxBodySize, ByteSize.bytes(options.maxBodyBytes))
  const node = yield* limited(makeHandler(app as Effect.Effect<never>, { scope }))
  const upgrade = yield* limited(makeUpgradeHandler(webSockets, app as Effect.Effect<never>, { scope }))
  const web = HttpEffect.toWebHandlerWith(context)(app as Effect.Effect<never>)

  const serve = (exchange: HttpExchange): void => {
    if (isNode(exchange)) {
      const asked = exchange.takeSocket()
      if (asked === undefined) node(exchange.nodeRequest, exchange.nodeResponse)
      else upgrade(exchange.nodeRequest, asked.socket, asked.head)
      return
    }
    if (!(exchange instanceof Http2Exchange)) return
    const gone = new AbortController()
    exchange.whenAborted(() => gone.abort())
    exchange.readBody(options.maxBodyBytes, (body) => {
      if (body instanceof KratosError.KratosError) return respondError(exchange, body)
      const request = toRequest(exchange, body, gone.signal)
      if (request === undefined)
        return respondError(exchange, HttpError.badRequest(`${exchange.method.slice(0, 32)} of this target is not supported`))
      web(request).then(
        (response) => exchange.respondStream(response.status, [...response.headers], response.body),
        (cause) => {
          options.report("a route failed", cause)
          respondError(exchange, KratosError.internalServer("", "internal error"))
        }
      )
    })
  }
  /** Closes the WebSockets that are open: they have no end of their own. */
  const leave = (): void => sockets?.clients.forEach((socket) => socket.close(1001, reason))
  return { serve, leave }
})

/** Undefined for what the web's `Request` does not take: TRACE, an authority that is none. */
const toRequest = (exchange: HttpExchange, body: Uint8Array, signal: AbortSignal): Request | undefined => {
  const hasBody = body.length > 0 && exchange.method !== "GET" && exchange.method !== "HEAD"
  try {
    const headers = new Headers()
    for (let i = 0; i < exchange.fields.length; i += 2) headers.append(exchange.fields[i]!, exchange.fields[i + 1]!)
    return new Request(`${exchange.scheme}://${exchange.authority === "" ? "localhost" : exchange.authority}${exchange.target}`, {
      method: exchange.method,
      headers,
      signal,
      ...(hasBody ? { body: body as Uint8Array<ArrayBuffer> } : undefined) // bodies are never shared memory
    })
  } catch {
    return undefined
  }
}
