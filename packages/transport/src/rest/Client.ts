/**
 * A client's calls over REST, by the HTTP rules of the contract: unary calls as requests, server streams as server-sent events, the other kinds on
 * WebSockets. Errors arrive typed, as over every wire.
 */
import type { DescMethod, Message } from "@bufbuild/protobuf"
import { Call } from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { ReasonClass } from "@effect-kratos/core/error/Reason"
import * as RetryAdvice from "@effect-kratos/core/error/RetryAdvice"
import { Grpc } from "@effect-kratos/core/error/Status"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Wire } from "../ClientMethods.ts"
import * as Codec from "../codec/Codec.ts"
import * as Codecs from "../codec/Codecs.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import { exceeded } from "../grpc/Invocation.ts"
import * as GrpcStatus from "../grpc/Status.ts"
import { complete } from "../Implementation.ts"
import type { Outgoing } from "../Outgoing.ts"
import * as Dialect from "./Dialect.ts"
import * as ErrorBody from "./ErrorBody.ts"
import * as EventCall from "./EventCall.ts"
import * as HttpCall from "./HttpCall.ts"
import type { Nodes } from "./Nodes.ts"
import * as RequestPlan from "./RequestPlan.ts"
import * as SocketCall from "./SocketCall.ts"
import * as StreamCodec from "./StreamCodec.ts"
import { operationOf } from "../Method.ts"

export interface Options {
  readonly dialect: Dialect.Dialect
  readonly maxMessageBytes: number
  /** Longest body of a request; undefined: no limit. Messages on a WebSocket have none. */
  readonly maxRequestBytes?: number | undefined
}

type Fields = ReadonlyArray<readonly [string, string]>
type Run = (call: Outgoing, fields: Fields) => Effect.Effect<Message | void, unknown>

/** How the calls of a method travel. Calls of a method without an HTTP rule fail with 501. */
export const wire = (desc: DescMethod, classes: ReadonlyArray<ReasonClass>, nodes: Nodes, options: Options): Wire => {
  const plan = RequestPlan.make(desc)
  const run = compile(desc, plan, nodes, options)
  const typed = (error: unknown, { reply, trailers }: Outgoing): unknown =>
    error instanceof KratosError.KratosError ? RetryAdvice.received(GrpcStatus.typed(error, classes), reply, trailers) : error
  // a WebSocket opens with a GET that says nothing of what follows
  const isRequest = desc.methodKind === "unary" || desc.methodKind === "server_streaming"
  const idempotency =
    isRequest && plan !== undefined && Result.isSuccess(plan) ? HttpCall.idempotencyOf(plan.success.httpMethod) : undefined
  const call = Effect.withFiber((fiber): Effect.Effect<Message | void, unknown> => {
    // ClientMethods provides the call, and it is an Outgoing
    const call = Context.getUnsafe(fiber.context, Call) as unknown as Outgoing
    call.begin()
    const deadline = Context.get(fiber.context, Deadline.Current)
    const now = nodes.timers.now()
    if (deadline !== undefined && deadline <= now) return Effect.fail(exceeded(call))
    const fields = HttpCall.fieldsOf(call, deadline, now)
    if (fields instanceof KratosError.KratosError) return Effect.fail(fields)
    const whole = Effect.mapError(run(call, fields), (error) => typed(error, call))
    if (deadline === undefined) return whole
    return Effect.timeoutOrElse(whole, { duration: deadline - now, orElse: () => Effect.fail(exceeded(call)) })
  })
  return { transport: "http", idempotency, call }
}

const compile = (desc: DescMethod, plan: ReturnType<typeof RequestPlan.make>, nodes: Nodes, options: Options): Run => {
  const { dialect, maxMessageBytes } = options
  if (plan === undefined || Result.isFailure(plan)) {
    const why =
      plan === undefined
        ? "has no HTTP rule, and cannot be called over REST"
        : `has an HTTP rule that does not fit: ${plan.failure.message}`
    const failure = KratosError.unimplemented("", `${operationOf(desc)} ${why}`, { grpc: Grpc.UNIMPLEMENTED })
    return () => Effect.fail(failure)
  }
  switch (desc.methodKind) {
    case "unary":
      return unary(desc, plan.success, nodes, Dialect.codecOf(dialect), options)
    case "server_streaming":
      return events(desc, plan.success, nodes, Dialect.eventCodecOf(dialect), options)
    default:
      return SocketCall.make({ desc, plan: plan.success, nodes, codec: Dialect.codecOf(dialect), maxMessageBytes })
  }
}

const unary = (desc: DescMethod, plan: RequestPlan.RequestPlan, nodes: Nodes, codec: Codec.Codec, options: Options): Run => {
  const { maxMessageBytes: maxBytes } = options
  return (call, fields) => {
    const request = requestOf(desc, plan, codec, call, options, [["accept", codec.contentType], ...fields])
    if (request instanceof KratosError.KratosError) return Effect.fail(request)
    return HttpCall.send(nodes, call, request, (reply) =>
      Effect.flatMap(HttpCall.readBody(reply, maxBytes), (body) => {
        if (!isSuccess(reply)) return Effect.fail(ErrorBody.decode(reply.status, reply.contentType, body))
        // what has no body is a message that holds nothing
        if (body.length === 0 && !isRaw(reply)) return Effect.succeed(complete(desc.output, {}))
        const replyCodec = Result.getOrElse(Codecs.standard.forBody(reply.contentType), () => Codecs.standard.forReply(undefined))
        return Effect.fromResult(
          Result.mapError(plan.reply(body, replyCodec, reply.contentType), (error) =>
            GrpcError.malformed(`the reply cannot be decoded: ${error.message}`)
          )
        )
      })
    )
  }
}

const events = (desc: DescMethod, plan: RequestPlan.RequestPlan, nodes: Nodes, codec: Codec.Codec, options: Options): Run => {
  const { maxMessageBytes } = options
  const read = StreamCodec.reader(desc.output)
  return (call, fields) => {
    const request = requestOf(desc, plan, codec, call, options, [["accept", "text/event-stream"], ...fields])
    if (request instanceof KratosError.KratosError) return Effect.fail(request)
    return HttpCall.send(nodes, call, request, (reply) =>
      isSuccess(reply)
        ? EventCall.receive(reply, call, { codec, read, maxMessageBytes })
        : Effect.flatMap(HttpCall.readBody(reply, maxMessageBytes), (body) =>
            Effect.fail(ErrorBody.decode(reply.status, reply.contentType, body))
          )
    )
  }
}

const isSuccess = ({ status }: HttpCall.Reply): boolean => status >= 200 && status < 300

/** A body of any other type may hold nothing and still be a body. */
const isRaw = ({ contentType }: HttpCall.Reply): boolean =>
  contentType !== undefined && Result.isFailure(Codecs.standard.forBody(contentType))

const requestOf = (
  desc: DescMethod,
  plan: RequestPlan.RequestPlan,
  codec: Codec.Codec,
  call: Outgoing,
  { maxRequestBytes = Number.POSITIVE_INFINITY }: Options,
  fields: Fields
): HttpCall.Request | KratosError.KratosError => {
  let message: Message
  try {
    // `Client` gives calls of these kinds their message
    message = complete(desc.input, call.message!)
  } catch (cause) {
    return unfit(desc, cause)
  }
  const body = plan.body?.(message, codec)
  // what does not encode is the caller's own doing
  if (body !== undefined && Result.isFailure(body)) return unfit(desc, body.failure.cause)
  if (body !== undefined && body.success.bytes.length > maxRequestBytes)
    return GrpcError.tooLarge(body.success.bytes.length, maxRequestBytes)
  const target = plan.target(message, true)
  if (Result.isFailure(target)) return target.failure
  const contentType = body?.success.contentType ?? (desc.methodKind === "unary" ? undefined : codec.contentType)
  return {
    method: plan.httpMethod,
    target: target.success,
    fields: contentType === undefined ? fields : [["content-type", contentType], ...fields],
    body: body?.success.bytes
  }
}

const unfit = (desc: DescMethod, cause: unknown): KratosError.KratosError =>
  KratosError.badRequest(Codec.reason, `the request is not a valid ${desc.input.typeName}`, { cause })
