/**
 * The Model Context Protocol on the server's port: unary methods as tools, by Streamable HTTP at `/mcp`. What it takes is loaded and built
 * with the first request.
 */
import { createRegistry } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Lifecycle } from "@effect-kratos/core/Lifecycle"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as HttpError from "../http/HttpError.ts"
import { EMPTY, type HttpExchange } from "../http/HttpExchange.ts"
import type { Operation } from "../Operation.ts"
import { respondError } from "../rest/Server.ts"
import type * as Service from "../Service.ts"
import type { Source } from "./Endpoint.ts"
import * as Sessions from "./Sessions.ts"
import { operationOf } from "../Method.ts"

export interface Options {
  /** Default `/mcp`. */
  readonly path?: `/${string}` | undefined
  /**
   * Methods, as `pkg.Service.Method`, that are tools besides those without side effects and those that the contract marks. Clients are told that
   * they may destroy.
   */
  readonly tools?: ReadonlyArray<string> | undefined
  /** What a model is told of the server as a whole. */
  readonly instructions?: string | undefined
  /** Origins of browsers that may call; a request with another is 403. Default none: programs send no origin. */
  readonly allowedOrigins?: ReadonlyArray<string> | undefined
  /** Most clients with a session; beyond it the session that was unused for longest ends. Default 1000. */
  readonly maxSessions?: number | undefined
}

export interface Server {
  readonly services: ReadonlyArray<Service.Any>
  readonly operation: (path: string) => Operation | undefined
  readonly maxBodyBytes: number
  readonly now: () => number
  readonly report: (message: string, cause: unknown) => void
}

const SESSION = "mcp-session-id"

/** Answers the exchanges of its path; false for others. */
export const make: (
  server: Server,
  options: Options
) => Effect.Effect<(exchange: HttpExchange) => boolean, never, Lifecycle | Scope.Scope> = Effect.fnUntraced(function* (server, options) {
  const { maxSessions = 1000, path = "/mcp" } = options
  const lifecycle = yield* Lifecycle
  // older than the listener, so that calls are drained before it closes
  const scope = yield* Scope.fork(yield* Effect.scope)
  const run = Effect.runPromiseWith(yield* Effect.context<never>())
  const sources = new WeakMap<object, Source>()
  const sessions = Sessions.make(maxSessions)

  const build = Effect.gen(function* () {
    const [Endpoint, Tools, OpenApi] = yield* Effect.promise(() =>
      Promise.all([import("./Endpoint.ts"), import("./Tools.ts"), import("../openapi/OpenApi.ts")])
    )
    const listed = new Set((options.tools ?? []).map(Tools.operationOf))
    for (const name of listed)
      if (server.operation(name) === undefined) yield* Effect.logWarning(`mcp.tools names ${name}, which is not served`)
    return yield* Endpoint.make({
      app: lifecycle.infoUnsafe(),
      path,
      tools: Tools.make(server.services, yield* OpenApi.loadComments(server.services), listed),
      operation: ({ method }) => server.operation(operationOf(method)),
      registry: createRegistry(...server.services.map(({ descriptor }) => descriptor.file)),
      sourceOf: (request) => (typeof request === "object" && request !== null ? sources.get(request) : undefined),
      now: server.now,
      report: server.report,
      instructions: options.instructions,
      allowedOrigins: options.allowedOrigins
    })
  }).pipe(Scope.provide(scope))
  let built: Promise<(request: Request) => Promise<Response>> | undefined
  const start = (): Promise<(request: Request) => Promise<Response>> => {
    if (built !== undefined) return built
    built = run(build)
    // the next request tries again
    built.catch(() => (built = undefined))
    return built
  }

  const handle = async (exchange: HttpExchange, request: Request): Promise<void> => {
    const endpoint = await start()
    sources.set(request, exchange)
    const session = exchange.header(SESSION)
    if (session !== undefined) sessions.touch(session)
    const response = await endpoint(request)
    if (session !== undefined && request.method === "DELETE" && response.ok) sessions.close(session)
    const opened = session === undefined ? response.headers.get(SESSION) : null
    if (opened !== null) {
      for (const id of sessions.open(opened)) void endpoint(new Request(request.url, { method: "DELETE", headers: { [SESSION]: id } }))
    }
    await send(exchange, response, request.signal)
  }

  return (exchange) => {
    const mark = exchange.target.indexOf("?")
    if ((mark < 0 ? exchange.target : exchange.target.slice(0, mark)) !== path) return false
    const gone = new AbortController()
    exchange.whenAborted(() => gone.abort())
    exchange.readBody(server.maxBodyBytes, (body) => {
      if (body instanceof KratosError.KratosError) return respondError(exchange, body)
      const request = toRequest(exchange, body, gone.signal)
      if (request === undefined) return respondError(exchange, HttpError.badRequest("the request is not one that can be read"))
      handle(exchange, request).catch((cause: unknown) => {
        server.report(`${path} failed`, cause)
        respondError(exchange, KratosError.internalServer("", "internal error"))
      })
    })
    return true
  }
})

/** Undefined for what the web's `Request` does not take: TRACE, an authority that is none. */
const toRequest = (exchange: HttpExchange, body: Uint8Array, signal: AbortSignal): Request | undefined => {
  const { authority, fields, method, scheme, target } = exchange
  try {
    const headers = new Headers()
    for (let i = 0; i < fields.length; i += 2) if (!fields[i]!.startsWith(":")) headers.append(fields[i]!, fields[i + 1]!)
    return new Request(`${scheme}://${authority === "" ? "localhost" : authority}${target}`, {
      method,
      headers,
      signal,
      ...(method === "POST" ? { body: body as Uint8Array<ArrayBuffer> } : undefined) // bodies are never shared memory
    })
  } catch {
    return undefined
  }
}

const send = async (exchange: HttpExchange, response: Response, gone: AbortSignal): Promise<void> => {
  const fields = [...response.headers].filter(([name]) => name !== "content-length")
  if (response.body === null || !response.headers.get("content-type")?.startsWith("text/event-stream")) {
    const body = new Uint8Array(await response.arrayBuffer())
    return exchange.respond(response.status, [...fields, ["content-length", String(body.length)]], body)
  }
  let goOn = (): void => {}
  exchange.whenDrained(() => goOn())
  gone.addEventListener("abort", () => goOn())
  exchange.start(response.status, fields)
  try {
    for await (const chunk of response.body) {
      if (gone.aborted) return
      if (!exchange.write(chunk)) await new Promise<void>((resolve) => (goOn = resolve))
    }
    exchange.finish(EMPTY)
  } catch {
    // its head is out: all that can be said is that it is not complete
    exchange.reset()
  }
}
