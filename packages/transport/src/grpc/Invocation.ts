/**
 * The innermost effect of a client's method: takes a connection, sends the request, completes with the reply. A stream that the server never
 * processed (GOAWAY, REFUSED_STREAM, a connection lost before it left) is opened again; a deadline that passes resets the stream.
 */
import type { DescMethod, Message } from "@bufbuild/protobuf"
import { Call } from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { ReasonClass } from "@effect-kratos/core/error/Reason"
import * as RetryAdvice from "@effect-kratos/core/error/RetryAdvice"
import { Grpc } from "@effect-kratos/core/error/Status"
import type { MutableMetadata } from "@effect-kratos/core/Metadata"
import type { Try } from "@effect-kratos/core/selector/Selector"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { ClientExchange, ClientProtocol, Peer, Receiver } from "../ClientProtocol.ts"
import type { Carrier, ClientRoute, HeadForm } from "../ClientRoute.ts"
import type { Timer } from "../DeadlineTimers.ts"
import type { MessageCodec } from "../MessageCodec.ts"
import type { Outgoing } from "../Outgoing.ts"
import { ReadAhead } from "../ReadAhead.ts"
import * as GrpcError from "./GrpcError.ts"
import * as RequestHeads from "./RequestHeads.ts"
import { Requests } from "./Requests.ts"
import * as GrpcStatus from "./Status.ts"

/** What is fixed for a method of a client. */
export interface Options<Head> extends MethodOptions {
  readonly channel: ClientRoute<Head>
  readonly headForm: HeadForm<Head>
  /** Calls wait when no node can be reached, until one can or their deadline passes. */
  readonly waitForReady: boolean
}

interface MethodOptions {
  readonly desc: DescMethod
  readonly classes: ReadonlyArray<ReasonClass>
  readonly channel: Pick<ClientRoute<never>, "timers">
  readonly protocol: ClientProtocol
  readonly output: MessageCodec
  readonly maxMessageBytes: number
  /** Longest request message as it is sent, its prefix included; undefined: no limit. */
  readonly maxRequestBytes?: number | undefined
}

/**
 * What tries of a call may cost that the server has not processed: a refusal costs `REFUSED`, so that a server which refuses everything is asked four times;
 * a connection that goes away costs one, because the next one is another, and connections that keep going away meet the back-off of their node.
 */
const BUDGET = 15
const REFUSED = 5
/** How much earlier than ours a server's timer may fire, in milliseconds: `grpc-timeout` is rounded. */
const CLOCK_SKEW = 2

/** Completes with the reply message of the kinds that have one; otherwise replies go to the queue of the call and it completes at their end. */
export const make = <Head>(options: Options<Head>): Effect.Effect<Message | void, unknown> => {
  const { channel, waitForReady } = options
  const heads = RequestHeads.make(options)

  const attempt = (
    call: Outgoing,
    deadline: number | undefined,
    budget: number,
    context: Context.Context<never>,
    requests: Requests | undefined
  ): Effect.Effect<Message | void, unknown> => {
    const ready = channel.ready(call)
    if (ready !== undefined) return exchange(ready, call, deadline, budget, context, requests)
    return wait(call, deadline, budget, context, requests, false)
  }
  const wait = (
    call: Outgoing,
    deadline: number | undefined,
    budget: number,
    context: Context.Context<never>,
    requests: Requests | undefined,
    again: boolean
  ): Effect.Effect<Message | void, unknown> =>
    Effect.flatMap(channel.connection({ call, deadline, expired: () => exceeded(call), waitForReady, again }), (connection) =>
      exchange(connection, call, deadline, budget, context, requests)
    )

  const exchange = (
    connection: Carrier<Head>,
    call: Outgoing,
    deadline: number | undefined,
    budget: number,
    context: Context.Context<never>,
    requests: Requests | undefined
  ): Effect.Effect<Message | void, unknown> =>
    Effect.callback((resume) => {
      let body: Uint8Array | undefined
      let query: string | undefined
      if (call.message !== undefined) {
        const encoded = encode(options, call.message)
        if (encoded instanceof KratosError.KratosError) return resume(Effect.fail(encoded))
        query = options.protocol.get?.query(encoded)
        if (query === undefined) body = encoded
      }
      const head = heads(connection, call, deadline === undefined ? undefined : deadline - channel.timers.now(), query)
      if (head instanceof KratosError.KratosError) return resume(Effect.fail(head))
      const running = new Running(options, call, deadline, resume, (requests) => {
        const left = budget - (connection.usable() ? REFUSED : 1)
        if (left < 0) return undefined
        const again = attempt(call, deadline, left, context, requests)
        return requests === undefined ? again : Effect.onExit(again, () => Effect.sync(() => requests.stop()))
      })
      running.attempt = connection.begin(call)
      const stream = connection.request(head, running.exchange, body, call.requests === undefined)
      // it has become full since it was picked, or is ending
      if (stream === undefined) {
        running.attempt.end("unprocessed")
        return resume(wait(call, deadline, budget, context, requests, true))
      }
      running.exchange.stream = stream
      call.processed = true
      call.peer = connection.address
      if (!running.single) call.replies.attach((bytes) => stream.consumed(bytes))
      if (deadline !== undefined) running.timer = channel.timers.add(deadline, () => running.expire())
      if (call.requests !== undefined) running.send(call.requests, requests, context)
      return Effect.sync(() => running.cancel())
    })

  return Effect.withFiber((fiber) => {
    // Client.ts provides the call, and it is an Outgoing
    const call = Context.getUnsafe(fiber.context, Call) as unknown as Outgoing
    call.begin()
    const deadline = Context.get(fiber.context, Deadline.Current)
    if (deadline !== undefined && deadline <= channel.timers.now()) return Effect.fail(exceeded(call))
    return attempt(call, deadline, BUDGET, fiber.context, undefined)
  })
}

/** A message for the wire; 400 when it is not what its type says. */
const encode = ({ desc, maxRequestBytes, protocol }: MethodOptions, message: object): Uint8Array | KratosError.KratosError => {
  try {
    const bytes = protocol.encode(message)
    return maxRequestBytes === undefined || bytes.length <= maxRequestBytes ? bytes : GrpcError.tooLarge(bytes.length, maxRequestBytes)
  } catch (cause) {
    return KratosError.badRequest("CODEC", `the request is not a valid ${desc.input.typeName}`, { cause })
  }
}

/** Another try of a call, if it may have one; `requests` are those that it streams. */
type Again = (requests: Requests | undefined) => Effect.Effect<Message | void, unknown> | undefined

/** One try of a call: hears of its reply and completes the effect. */
class Running implements Receiver {
  readonly output: MessageCodec
  readonly maxMessageBytes: number
  readonly exchange: ClientExchange
  timer: Timer | undefined = undefined
  /** What its node hears of how it ended. */
  attempt: Try<unknown> | undefined = undefined
  private readonly options: MethodOptions
  private readonly call: Outgoing
  private readonly deadline: number | undefined
  private readonly resume: (effect: Effect.Effect<Message | void, unknown>) => void
  private readonly again: Again
  /** The call has one reply. */
  readonly single: boolean
  private reply: Message | undefined = undefined
  private surplus = false
  private requests: Requests | undefined = undefined
  /** The server has begun to answer. */
  private committed = false

  constructor(
    options: MethodOptions,
    call: Outgoing,
    deadline: number | undefined,
    resume: (effect: Effect.Effect<Message | void, unknown>) => void,
    again: Again
  ) {
    this.options = options
    this.output = options.output
    this.maxMessageBytes = options.maxMessageBytes
    this.call = call
    this.deadline = deadline
    this.resume = resume
    this.again = again
    this.single = call.kind === "unary" || call.kind === "client_streaming"
    this.exchange = options.protocol.exchange(this)
  }

  onPeer(node: Peer): void {
    this.attempt?.end("unprocessed")
    this.attempt = node.begin(this.call)
    this.call.peer = node.address
  }

  onUnsent(): void {
    this.call.processed = false
  }

  onHeader(metadata: MutableMetadata): void {
    this.committed = true
    this.requests?.commit()
    this.call.reply = metadata
  }

  onMessage(message: Message, bytes: number): void {
    if (!this.single) {
      if (this.call.commit()) this.call.replies.push(message, bytes)
    } else if (this.reply === undefined) this.reply = message
    else this.surplus = true
  }

  onBytes(bytes: number): void {
    if (this.single) this.exchange.stream?.consumed(bytes)
    else this.call.replies.received(bytes)
  }

  readAhead(read: (part: Uint8Array) => boolean, compressed: boolean): ReadAhead | undefined {
    if (this.single) return undefined
    const { replies } = this.call
    const ahead = new ReadAhead(replies, read, compressed)
    replies.onEmptied = () => ahead.resume()
    return ahead
  }

  onEnd(error: KratosError.KratosError | undefined, trailers: MutableMetadata | undefined): void {
    if (trailers !== undefined) this.call.trailers = trailers
    // A server's own timer may fire before ours, and some servers then only reset the stream.
    if (error?.grpc === Grpc.CANCELLED && this.isLate()) return this.failLate()
    this.attempt?.reply(error)
    if (error !== undefined) {
      const { reply, trailers } = this.call
      this.finish(Effect.fail(RetryAdvice.received(GrpcStatus.typed(error, this.options.classes), reply, trailers)))
    } else if (!this.single) this.finish(Effect.void)
    else if (this.reply === undefined || this.surplus) {
      this.finish(
        Effect.fail(GrpcError.cardinality(`${this.call.operation} replies with one message, got ${this.surplus ? "more" : "none"}`))
      )
    } else this.finish(Effect.succeed(this.reply))
  }

  onUnprocessed(): void {
    const { requests } = this
    this.attempt?.end("unprocessed")
    const again = this.committed || requests?.suspend() === false ? undefined : this.again(requests)
    this.call.processed = this.committed
    if (again === undefined) return this.finish(Effect.fail(GrpcError.unavailable("the server did not take the call")))
    // they go on with the next try
    this.requests = undefined
    this.finish(again)
  }

  onDrain(): void {
    this.requests?.onDrain()
  }

  private isLate(): boolean {
    return this.deadline !== undefined && this.options.channel.timers.now() >= this.deadline - CLOCK_SKEW
  }

  expire(): void {
    this.exchange.cancel()
    this.failLate()
  }

  private failLate(): void {
    const error = exceeded(this.call)
    this.attempt?.reply(error)
    this.finish(Effect.fail(error))
  }

  /** The call's fiber was interrupted. */
  cancel(): void {
    this.attempt?.end("cancelled")
    this.exchange.cancel()
    this.release()
  }

  /** Sends the messages of a streamed request, as fast as the wire takes them: from the first, or on behalf of an earlier try. */
  send(messages: Stream.Stream<object, unknown>, earlier: Requests | undefined, context: Context.Context<never>): void {
    const stream = this.exchange.stream!
    const onFailure = (cause: Cause.Cause<unknown>): void => {
      // the caller's own stream failed: the call fails with it, and the server hears of a cancellation
      this.attempt?.end("cancelled")
      this.exchange.cancel()
      this.finish(Effect.failCause(cause))
    }
    this.requests = earlier
    if (earlier !== undefined) earlier.resume(stream, onFailure)
    else this.requests = new Requests(messages, (message) => this.encode(message), context, stream, onFailure)
  }

  private encode(message: object): Uint8Array | KratosError.KratosError {
    const bytes = encode(this.options, message)
    if (bytes instanceof Uint8Array) this.call.wrote(bytes.length)
    return bytes
  }

  private finish(effect: Effect.Effect<Message | void, unknown>): void {
    this.release()
    this.resume(effect)
  }

  private release(): void {
    if (this.timer !== undefined) this.options.channel.timers.remove(this.timer)
    this.requests?.stop()
  }
}

export const exceeded = (call: Outgoing): KratosError.KratosError =>
  KratosError.gatewayTimeout(
    Deadline.reason,
    `deadline exceeded: ${call.operation} (client) had no reply from ${call.peer === "" ? call.endpoint : call.peer} in time`,
    {
      grpc: Grpc.DEADLINE_EXCEEDED
    }
  )
