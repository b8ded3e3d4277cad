/**
 * The messages of a streamed request, for more than one attempt of its call: each reads them from the first on, while the caller's stream runs once and no
 * further ahead than the attempt that reads fastest. Once the call is committed they are forgotten as they are read.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"

type Batch = [object, ...Array<object>]
type Pull = Effect.Effect<Batch, unknown>

/** Where an attempt is. */
interface Reader {
  at: number
  waiting: ((pull: Pull) => void) | undefined
}

export class RequestLog {
  /** Of the messages as they are sent; the wire counts them. */
  readonly maxBytes: number
  private readonly requests: Stream.Stream<object, unknown>
  private readonly services: Context.Context<never>
  private readonly readers = new Set<Reader>()
  private messages: Array<object> = []
  /** How many have been forgotten. */
  private forgotten = 0
  private keeping = true
  private ended: Pull | undefined = undefined
  private fiber: Fiber.Fiber<void, unknown> | undefined = undefined
  /** Lets the caller's stream go on. */
  private more: (() => void) | undefined = undefined
  private stopped = false
  /** The caller's stream has failed, and with it every attempt. */
  failed = false

  constructor(requests: Stream.Stream<object, unknown>, maxBytes: number, services: Context.Context<never>) {
    this.requests = requests
    this.maxBytes = maxBytes
    this.services = services
  }

  /** All messages, for one attempt. */
  reader(): Stream.Stream<object, unknown> {
    const pull = Effect.sync(() => {
      const reader: Reader = { at: 0, waiting: undefined }
      this.readers.add(reader)
      return Effect.suspend(() => this.take(reader) ?? this.wait(reader))
    })
    return Stream.fromPull(pull) as Stream.Stream<object, unknown> // Done is the end, not an error
  }

  /** One attempt goes on, and there will be no other. */
  commit(): void {
    this.keeping = false
  }

  /** Nobody reads any more. */
  stop(): void {
    this.stopped = true
    this.messages = []
    this.fiber?.interruptUnsafe()
  }

  private take(reader: Reader): Pull | undefined {
    const from = reader.at - this.forgotten
    if (from >= this.messages.length) return this.ended
    const batch = this.messages.slice(from) as Batch // not empty
    reader.at += batch.length
    if (!this.keeping) {
      this.forgotten += this.messages.length
      this.messages = []
    }
    return Effect.succeed(batch)
  }

  private wait(reader: Reader): Pull {
    return Effect.callback((resume) => {
      reader.waiting = resume
      if (this.fiber === undefined) this.start()
      else {
        const { more } = this
        this.more = undefined
        more?.()
      }
      return Effect.sync(() => void (reader.waiting = undefined))
    })
  }

  private start(): void {
    if (this.stopped) return
    this.fiber = Effect.runForkWith(this.services)(Stream.runForEachArray(this.requests, (messages) => this.push(messages)))
    this.fiber.addObserver((exit) => {
      this.failed = Exit.isFailure(exit)
      this.ended = Exit.isSuccess(exit) ? Cause.done() : Effect.failCause(exit.cause)
      this.wake()
    })
  }

  /** Completes when somebody wants more. */
  private push(messages: ReadonlyArray<object>): Effect.Effect<void> {
    return Effect.callback((resume) => {
      this.more = () => resume(Effect.void)
      for (const message of messages) this.messages.push(message)
      this.wake()
    })
  }

  private wake(): void {
    for (const reader of this.readers) {
      const { waiting } = reader
      if (waiting === undefined) continue
      const pull = this.take(reader)
      if (pull === undefined) continue
      reader.waiting = undefined
      waiting(pull)
    }
  }
}
