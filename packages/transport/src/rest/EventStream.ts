/**
 * A server-streaming call whose replies are server-sent events. The head goes out with the first event: a call that fails before is an ordinary HTTP
 * error, one that fails later ends with an event `error` that holds the error's body, and one that sends nothing is an empty 200. A client that goes
 * away interrupts the handler, a slow one makes it wait.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Codec } from "../codec/Codec.ts"
import type { Codecs } from "../codec/Codecs.ts"
import type { DeadlineTimers, Timer } from "../DeadlineTimers.ts"
import { EMPTY, type HttpExchange } from "../http/HttpExchange.ts"
import type { Reply } from "../Implementation.ts"
import type { Ended, Incoming, Operation } from "../Operation.ts"
import * as ErrorBody from "./ErrorBody.ts"
import * as EventFraming from "./EventFraming.ts"
import * as ReplyFields from "./ReplyFields.ts"
import type { Write } from "./StreamCodec.ts"

export interface Options {
  readonly operation: Operation
  readonly codec: Codec
  /** Of what fails before the stream begins. */
  readonly codecs: Codecs
  readonly write: Write
  readonly timers: DeadlineTimers
  /** After so many milliseconds of silence a comment goes out, and the head with it. 0: never. */
  readonly keepAlive: number
}

const HEAD: ReplyFields.Fields = [
  ["content-type", "text/event-stream"],
  ["cache-control", "no-cache"],
  // nginx would wait for more
  ["x-accel-buffering", "no"]
]

/** What HEAD is told of a stream, without starting one. */
export const respondHead = (exchange: HttpExchange): void => exchange.respond(200, HEAD, EMPTY)

/** Runs a call whose message, or failure, is set. */
export const serve = (exchange: HttpExchange, call: Incoming, options: Options): void => new EventStream(exchange, call, options).begin()

class EventStream {
  private readonly exchange: HttpExchange
  private readonly call: Incoming
  private readonly options: Options
  private headSent = false
  private gone = false
  private full = false
  private quiet = true
  private timer: Timer | undefined = undefined
  private cancel: (() => void) | undefined = undefined
  private drained: (() => void) | undefined = undefined

  constructor(exchange: HttpExchange, call: Incoming, options: Options) {
    this.exchange = exchange
    this.call = call
    this.options = options
  }

  begin(): void {
    const { call, exchange, options } = this
    call.sink = this
    exchange.whenAborted(() => this.abort())
    exchange.whenDrained(() => {
      this.full = false
      this.drained?.()
    })
    this.keepAlive()
    this.cancel = options.operation.run(call, (exit) => this.end(exit))
  }

  /** Sink of the handler. */
  readonly write = (replies: ReadonlyArray<Reply>, from = 0): Effect.Effect<void, KratosError.KratosError> =>
    Effect.suspend(() => {
      if (this.gone) return Effect.interrupt
      const failure = this.start()
      if (failure !== undefined) return Effect.fail(failure)
      this.quiet = false
      for (let i = from; i < replies.length; i++) {
        const payload = this.options.write(replies[i]!, this.options.codec)
        if (this.exchange.write(EventFraming.encode("message", payload))) continue
        // the rest of a large batch waits unencoded
        this.full = true
        return Effect.andThen(this.drain, this.write(replies, i + 1))
      }
      return Effect.void
    })

  private readonly drain: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.gone) return resume(Effect.interrupt)
    // the fiber may have yielded since the exchange was found full
    if (!this.full) return resume(Effect.void)
    this.drained = () => {
      this.drained = undefined
      resume(Effect.void)
    }
  })

  /** Sends the head, once. Fails when the handler has set metadata that HTTP cannot carry. */
  private start(): KratosError.KratosError | undefined {
    if (this.headSent) return undefined
    const fields = ReplyFields.make(this.call)
    if (fields instanceof KratosError.KratosError) return fields
    this.headSent = true
    this.exchange.start(200, [...HEAD, ...fields])
    return undefined
  }

  private keepAlive(): void {
    const { keepAlive, timers } = this.options
    if (keepAlive <= 0) return
    this.timer = timers.add(timers.now() + keepAlive, () => {
      if (this.quiet && !this.full && this.start() === undefined) this.exchange.write(EventFraming.ping)
      this.quiet = true
      this.keepAlive()
    })
  }

  private release(): void {
    this.cancel = undefined
    if (this.timer !== undefined) this.options.timers.remove(this.timer)
    this.timer = undefined
  }

  private abort(): void {
    this.gone = true
    // first: a handler that waits for the wire is interrupted there, and sees no failure
    this.cancel?.()
    this.release()
    this.drained?.()
  }

  private end(exit: Ended): void {
    this.release()
    if (this.gone) return
    const failure = Exit.isFailure(exit) ? KratosError.fromCause(exit.cause) : undefined
    if (this.headSent) {
      return this.exchange.finish(
        failure === undefined ? EMPTY : EventFraming.encode("error", ErrorBody.encodeWith(failure, this.options.codec).body)
      )
    }
    const fields = ReplyFields.make(this.call)
    if (fields instanceof KratosError.KratosError) return ErrorBody.respond(this.exchange, failure ?? fields, [], this.options.codecs)
    if (failure !== undefined) return ErrorBody.respond(this.exchange, failure, fields, this.options.codecs)
    this.exchange.respond(200, [["content-length", "0"], ...fields], EMPTY)
  }
}
