/**
 * REST on an HTTP exchange: match, read the body, bind, run the method, encode. Replies of server-streaming methods are server-sent events; methods to
 * which the client streams are reached by a WebSocket under the paths of their rules. A request that cannot be bound still runs through the aspects,
 * which see its typed 400; only paths, methods and handshakes that no rule has end here.
 */
import type { Message } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Codecs from "../codec/Codecs.ts"
import type { DeadlineTimers } from "../DeadlineTimers.ts"
import * as HeaderFields from "../HeaderFields.ts"
import * as Compression from "../http/Compression.ts"
import * as HttpError from "../http/HttpError.ts"
import { EMPTY, type HttpExchange } from "../http/HttpExchange.ts"
import type { Reply } from "../Implementation.ts"
import { Incoming, type Operation } from "../Operation.ts"
import * as Binding from "./Binding.ts"
import * as ErrorBody from "./ErrorBody.ts"
import * as EventStream from "./EventStream.ts"
import * as ReplyFields from "./ReplyFields.ts"
import type { RestRuleError } from "./RestRuleError.ts"
import * as Router from "./Router.ts"
import * as StreamCodec from "./StreamCodec.ts"
import * as Timeout from "./Timeout.ts"
import * as WebSockets from "./WebSockets.ts"

export interface Options {
  /** Largest body, and largest message on a WebSocket, in bytes. */
  readonly maxBodyBytes: number
  readonly timers: DeadlineTimers
  /** Reports what the caller must not see. */
  readonly report: (message: string, cause: unknown) => void
  /** After so many milliseconds without a message a stream gives a sign of life. Default 15 000; 0: never. */
  readonly keepAlive?: number | undefined
  /** Origins whose pages may open WebSockets, besides the server's own; `"*"` for all. Default none. */
  readonly origins?: ReadonlyArray<string> | "*" | undefined
  /** Default `Codecs.standard`. */
  readonly codecs?: Codecs.Codecs | undefined
  /** Of whole bodies. Default none. */
  readonly compression?: Compression.Compression | undefined
}

interface Target {
  readonly operation: Operation
  readonly binding: Binding.Binding
  /** Writes the events of a server-streaming method. */
  readonly write: StreamCodec.Write | undefined
}

const KEEP_ALIVE = 15_000

export interface Rest {
  /** Answers the exchanges that a rule has a path for, whatever their verb; false for others. */
  readonly serve: (exchange: HttpExchange) => boolean
  /** True for a request that `serve` answers whole: of a unary method. */
  readonly isWhole: (method: string, target: string) => boolean
}

/** The REST face of methods: those that carry an HTTP rule. */
export const make = (operations: ReadonlyArray<Operation>, options: Options): Effect.Effect<Rest, RestRuleError> =>
  Effect.gen(function* () {
    const { codecs = Codecs.standard } = options
    const routes: Array<Router.Route<Target>> = []
    for (const operation of operations) {
      const write = operation.method.kind === "server_streaming" ? StreamCodec.writer(operation.desc.output) : undefined
      for (const binding of yield* Effect.fromResult(Binding.fromMethod(operation.desc, { codecs }))) {
        routes.push({ method: binding.httpMethod, template: binding.template, value: { operation, binding, write } })
      }
    }
    const router = Router.make(routes)
    const { keepAlive = KEEP_ALIVE, maxBodyBytes: maxMessageBytes, origins = [], report, timers } = options
    const sockets = yield* WebSockets.make(operations, { maxMessageBytes, timers, keepAlive, origins, report, codecs })
    for (const { method, template } of [...router.shadowed, ...sockets.shadowed])
      yield* Effect.logWarning(`REST route ${method} ${template.source} is never reached: an earlier one is the same`)
    const typeFields = makeTypeFields()
    // The port asks about a request before it hands it over: the answer serves twice.
    let latest: { readonly method: string; readonly path: string; readonly match: Router.Match<Target> } | undefined
    const matchOf = (method: string, path: string): Router.Match<Target> => {
      if (latest === undefined || latest.path !== path || latest.method !== method)
        latest = { method, path, match: router.match(method, path) }
      return latest.match
    }
    const isWhole = (method: string, target: string): boolean => {
      const mark = target.indexOf("?")
      const match = matchOf(method, mark < 0 ? target : target.slice(0, mark))
      return match._tag === "Found" && match.route.value.write === undefined
    }
    const serveExchange = (exchange: HttpExchange): boolean => {
      const target = exchange.target
      const mark = target.indexOf("?")
      const path = mark < 0 ? target : target.slice(0, mark)
      const query = mark < 0 ? "" : target.slice(mark + 1)
      if (sockets.open(exchange, path, query)) return true
      const match = matchOf(exchange.method, path)
      switch (match._tag) {
        case "Found":
          serve(exchange, match.route.value, match.variables, query, options, typeFields)
          return true
        case "BadPath":
          ErrorBody.respond(exchange, HttpError.badRequest("the path is not valid percent-encoding"), [], codecs)
          return true
        case "MethodNotAllowed":
        case "NotFound":
          return refuse(exchange, match._tag === "NotFound" ? [] : match.allow, sockets.has(path), codecs)
      }
    }
    return { serve: serveExchange, isWhole }
  })

/** A path under another verb: OPTIONS lists the verbs, the rest is 405. False when it is not known under any. */
const refuse = (exchange: HttpExchange, verbs: ReadonlyArray<string>, webSocket: boolean, codecs: Codecs.Codecs): boolean => {
  const { method } = exchange
  if (verbs.length === 0 && !webSocket) return false
  if (webSocket && (method === "GET" || method === "HEAD")) {
    WebSockets.upgradeRequired(exchange)
    return true
  }
  const allow = webSocket ? [...verbs, "GET"].sort() : verbs
  const list = [...new Set([...allow, ...(verbs.includes("GET") ? ["HEAD"] : []), "OPTIONS"])].sort().join(", ")
  if (method === "OPTIONS") exchange.respond(204, [["allow", list]], EMPTY)
  else ErrorBody.respond(exchange, HttpError.methodNotAllowed(method, allow), [["allow", list]], codecs)
  return true
}

const serve = (
  exchange: HttpExchange,
  { binding, operation, write }: Target,
  variables: ReadonlyArray<string>,
  query: string,
  options: Options,
  typeFields: TypeFields
): void => {
  const { failure, left } = Timeout.ofExchange(exchange)
  const { codecs = Codecs.standard, compression = Compression.none, keepAlive = KEEP_ALIVE, timers } = options
  const call = new Incoming(
    "http",
    operation,
    exchange.origin,
    left === undefined ? undefined : timers.now() + left,
    () => HeaderFields.toMetadata(exchange.fields),
    binding.template.source,
    exchange.method
  )
  // what HEAD is told of a stream needs no stream
  if (write !== undefined && exchange.method === "HEAD" && binding.httpMethod === "GET") return EventStream.respondHead(exchange)
  const run = (input: Result.Result<Message, KratosError.KratosError>): void => {
    if (failure !== undefined) call.failure = failure
    else if (Result.isFailure(input)) call.failure = input.failure
    else call.message = input.success
    if (write !== undefined) {
      const codec = StreamCodec.chooseText(codecs, exchange.header("accept"), exchange.header("content-type"))
      return EventStream.serve(exchange, call, { operation, codec, codecs, write, timers, keepAlive })
    }
    const cancel = operation.run(call, (exit) => end(exchange, call, binding, exit, options, typeFields))
    if (cancel !== undefined) exchange.whenAborted(cancel)
  }
  compression.readBody(exchange, options.maxBodyBytes, (body) =>
    run(
      body instanceof KratosError.KratosError
        ? Result.fail(body)
        : binding.bind({ variables, query, contentType: exchange.header("content-type"), body })
    )
  )
}

const end = (
  exchange: HttpExchange,
  call: Incoming,
  binding: Binding.Binding,
  exit: Exit.Exit<Reply | void, unknown>,
  options: Options,
  typeFields: TypeFields
): void => {
  const { codecs = Codecs.standard, compression = Compression.none } = options
  const metadata = ReplyFields.make(call)
  if (metadata instanceof KratosError.KratosError) return ErrorBody.respond(exchange, metadata, [], codecs)
  if (Exit.isFailure(exit)) return ErrorBody.respond(exchange, KratosError.fromCause(exit.cause), metadata, codecs)
  // unary methods end with a reply
  const reply = binding.respond(exit.value as Reply, exchange.header("accept"))
  if (Result.isFailure(reply)) {
    options.report(`${call.operation}: the reply cannot be encoded`, reply.failure)
    return ErrorBody.respond(exchange, KratosError.internalServer("", "internal error"), metadata, codecs)
  }
  const { body, contentType } = reply.success
  compression.respond(exchange, 200, metadata.length === 0 ? typeFields(contentType) : [["content-type", contentType], ...metadata], body)
}

/** The usual head of a reply: one object for each type, so that the wires know it again. */
type TypeFields = (contentType: string) => ReplyFields.Fields

const makeTypeFields = (): TypeFields => {
  const known = new Map<string, ReplyFields.Fields>()
  return (contentType) => {
    let fields = known.get(contentType)
    if (fields === undefined) {
      // an `HttpBody` may name any type
      if (known.size >= MAX_TYPES) known.clear()
      known.set(contentType, (fields = [["content-type", contentType]]))
    }
    return fields
  }
}
const MAX_TYPES = 64

/** Sends an error in the form that Kratos gives it. */
export const respondError = ErrorBody.respond
