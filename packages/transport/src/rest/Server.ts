/**
 * Unary REST on an HTTP exchange: match, read the body, bind, run the method, encode. A request that cannot be bound still runs through the
 * aspects, which see its typed 400; only paths and methods that no rule has end here.
 */
import type { Message } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as HeaderFields from "../HeaderFields.ts"
import * as HttpError from "../http/HttpError.ts"
import { EMPTY, type HttpExchange } from "../http/HttpExchange.ts"
import type { Reply } from "../Implementation.ts"
import { Incoming, type Operation } from "../Operation.ts"
import * as Binding from "./Binding.ts"
import * as ErrorBody from "./ErrorBody.ts"
import type { RestRuleError } from "./RestRuleError.ts"
import * as Router from "./Router.ts"
import * as Timeout from "./Timeout.ts"

export interface Options {
  readonly maxBodyBytes: number
  readonly now: () => number
  /** Reports what the caller must not see. */
  readonly report: (message: string, cause: unknown) => void
}

interface Target {
  readonly operation: Operation
  readonly binding: Binding.Binding
}

/** Answers the exchanges that a rule of these methods has a path for, whatever their verb; false for others. */
export const make = (
  operations: ReadonlyArray<Operation>,
  options: Options
): Effect.Effect<(exchange: HttpExchange) => boolean, RestRuleError> =>
  Effect.gen(function* () {
    const routes: Array<Router.Route<Target>> = []
    for (const operation of operations) {
      if (operation.method.kind !== "unary") continue
      for (const binding of yield* Effect.fromResult(Binding.fromMethod(operation.desc))) {
        routes.push({ method: binding.httpMethod, template: binding.template, value: { operation, binding } })
      }
    }
    const router = Router.make(routes)
    for (const { method, template } of router.shadowed)
      yield* Effect.logWarning(`REST route ${method} ${template.source} is never reached: an earlier one is the same`)
    return (exchange) => {
      const target = exchange.target
      const mark = target.indexOf("?")
      const path = mark < 0 ? target : target.slice(0, mark)
      // HEAD is GET whose body the exchange leaves out
      const match = router.match(exchange.method === "HEAD" ? "GET" : exchange.method, path)
      switch (match._tag) {
        case "Found":
          serve(exchange, match.route.value, match.variables, mark < 0 ? "" : target.slice(mark + 1), options)
          return true
        case "BadPath":
          respondError(exchange, HttpError.badRequest("the path is not valid percent-encoding"))
          return true
        case "MethodNotAllowed":
          return other(exchange, match.allow)
        case "NotFound":
          return false
      }
    }
  })

/** A path under another verb: OPTIONS lists the verbs, the rest is 405. */
const other = (exchange: HttpExchange, allow: ReadonlyArray<string>): boolean => {
  const list = [...new Set([...allow, ...(allow.includes("GET") ? ["HEAD"] : []), "OPTIONS"])].sort().join(", ")
  if (exchange.method === "OPTIONS") exchange.respond(204, [["allow", list]], EMPTY)
  else respondError(exchange, HttpError.methodNotAllowed(exchange.method, allow), [["allow", list]])
  return true
}

const serve = (
  exchange: HttpExchange,
  { binding, operation }: Target,
  variables: ReadonlyArray<string>,
  query: string,
  options: Options
): void => {
  const timeout = Timeout.parse(exchange.header(Timeout.grpcTimeout), exchange.header(Timeout.timeoutMs))
  const left = Result.isSuccess(timeout) ? timeout.success : undefined
  const deadline = left === undefined ? undefined : options.now() + left
  const call = new Incoming(
    "http",
    operation,
    exchange.origin,
    deadline,
    () => HeaderFields.toMetadata(exchange.fields),
    binding.template.source
  )
  const run = (input: Result.Result<Message, KratosError.KratosError>): void => {
    if (Result.isFailure(timeout)) call.failure = timeout.failure
    else if (Result.isFailure(input)) call.failure = input.failure
    else call.message = input.success
    const cancel = operation.run(call, (exit) => end(exchange, call, binding, exit, options))
    if (cancel !== undefined) exchange.whenAborted(cancel)
  }
  exchange.readBody(options.maxBodyBytes, (body) =>
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
  options: Options
): void => {
  const metadata = metadataFields(call)
  if (metadata instanceof KratosError.KratosError) return respondError(exchange, metadata)
  if (Exit.isFailure(exit)) return respondError(exchange, KratosError.fromCause(exit.cause), metadata)
  // unary methods end with a reply
  const reply = binding.respond(exit.value as Reply, exchange.header("accept"))
  if (Result.isFailure(reply)) {
    options.report(`${call.operation}: the reply cannot be encoded`, reply.failure)
    return respondError(exchange, KratosError.internalServer("", "internal error"), metadata)
  }
  const { body, contentType } = reply.success
  exchange.respond(200, [["content-type", contentType], ["content-length", String(body.length)], ...metadata], body)
}

/** REST has no trailers: both kinds of reply metadata go out as headers. */
const metadataFields = (call: Incoming): ReadonlyArray<readonly [string, string]> | KratosError.KratosError => {
  const headers = call.replyIfAny === undefined ? [] : HeaderFields.fromMetadata(call.replyIfAny)
  if (headers instanceof KratosError.KratosError || call.trailersIfAny === undefined) return headers
  const trailers = HeaderFields.fromMetadata(call.trailersIfAny)
  return trailers instanceof KratosError.KratosError ? trailers : [...headers, ...trailers]
}

/** Sends an error in the form that Kratos gives it. */
export const respondError = (
  exchange: HttpExchange,
  error: KratosError.KratosError,
  fields: ReadonlyArray<readonly [string, string]> = []
): void => {
  const reply = ErrorBody.encode(error, exchange.header("accept"))
  exchange.respond(
    reply.status,
    [["content-type", reply.contentType], ["content-length", String(reply.body.length)], ...fields],
    reply.body
  )
}
