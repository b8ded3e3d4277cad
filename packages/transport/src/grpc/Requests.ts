/**
 * The messages of a streamed request on their way. What has been sent is kept, up to a bound, until the server begins to answer, so that a stream which
 * it never processed can be opened again; the caller's own stream runs once, whatever happens below.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { ClientStream } from "../ClientProtocol.ts"

/** Bytes kept for another try, as C-core keeps; a stream that has sent more is not opened again. */
const MOST = 262_144
const EMPTY = new Uint8Array(0)

/** A message for the wire, in memory of its own; 400 when it is not what its type says. */
export type Encode = (message: object) => Uint8Array | KratosError.KratosError

export class Requests {
  private readonly encode: Encode
  private readonly fiber: Fiber.Fiber<void, unknown>
  private kept: Array<Uint8Array> | undefined = []
  private bytes = 0
  /** Undefined between two tries. */
  private stream: ClientStream | undefined
  private onFailure: (cause: Cause.Cause<unknown>) => void
  private exit: Exit.Exit<void, unknown> | undefined = undefined
  private stopped = false
  /** The wire takes no more at present. */
  private full = false
  private drained: (() => void) | undefined = undefined

  /** Begins to send; `onFailure` hears when the caller's stream fails. */
  constructor(
    requests: Stream.Stream<object, unknown>,
    encode: Encode,
    context: Context.Context<never>,
    stream: ClientStream,
    onFailure: (cause: Cause.Cause<unknown>) => void
  ) {
    this.encode = encode
    this.stream = stream
    this.onFailure = onFailure
    this.fiber = Effect.runForkWith(context)(Stream.runForEachArray(requests, (messages) => this.write(messages, 0)))
    this.fiber.addObserver((exit) => {
      this.exit = exit
      this.finish()
    })
  }

  /** Sends again what has been sent, on another stream, and goes on there. */
  resume(stream: ClientStream, onFailure: (cause: Cause.Cause<unknown>) => void): void {
    this.stream = stream
    this.onFailure = onFailure
    this.full = false
    for (const message of this.kept ?? []) this.full = !stream.data(message, false)
    if (this.exit !== undefined) this.finish()
    else if (!this.full) this.drained?.()
  }

  /** The stream has ended without having been processed: holds the messages back. False when they cannot be sent again. */
  suspend(): boolean {
    this.stream = undefined
    this.full = true
    return this.kept !== undefined
  }

  /** The server has begun to answer: there will be no other try. */
  commit(): void {
    this.kept = undefined
  }

  onDrain(): void {
    this.full = false
    this.drained?.()
  }

  /** Nobody wants the messages any more. */
  stop(): void {
    if (this.stopped) return
    this.stopped = true
    this.kept = undefined
    this.fiber.interruptUnsafe()
  }

  /** The caller's stream is at its end. */
  private finish(): void {
    if (this.stopped || this.exit === undefined || this.stream === undefined) return
    if (Exit.isSuccess(this.exit)) this.stream.data(EMPTY, true)
    else this.onFailure(this.exit.cause)
  }

  private write(messages: ReadonlyArray<object>, from: number): Effect.Effect<void, unknown> {
    return Effect.suspend(() => {
      for (let i = from; i < messages.length; i++) {
        // the rest of a large batch waits unencoded
        if (this.full) return Effect.andThen(this.drain, this.write(messages, i))
        if (this.stream?.closed === true) return Effect.void
        const bytes = this.encode(messages[i]!)
        if (bytes instanceof KratosError.KratosError) return Effect.fail(bytes)
        this.keep(bytes)
        this.full = this.stream?.data(bytes, false) === false
      }
      return this.full ? this.drain : Effect.void
    })
  }

  private keep(bytes: Uint8Array): void {
    this.bytes += bytes.length
    if (this.bytes > MOST) this.kept = undefined
    else this.kept?.push(bytes)
  }

  private readonly drain: Effect.Effect<void> = Effect.callback((resume) => {
    // the fiber may have yielded since the stream was found full
    if (!this.full) return resume(Effect.void)
    this.drained = () => {
      this.drained = undefined
      resume(Effect.void)
    }
  })
}
