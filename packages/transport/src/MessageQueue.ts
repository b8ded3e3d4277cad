/**
 * The messages of one direction of a stream between the wire, which pushes them, and a Stream, which pulls them. The window of the wire's flow
 * control bounds what lies here: bytes are acknowledged when their messages are pulled.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"

type Batch<A> = [A, ...Array<A>]

/** What may wait as messages, in bytes. */
const READ_AHEAD = 65_536
/** What a message costs besides its bytes, so that empty ones count too: an object with a handful of fields. */
const OVERHEAD = 256

export class MessageQueue<A, E> {
  readonly stream: Stream.Stream<A, E>
  private messages: Array<A> = []
  private bytes = 0
  /** What the waiting messages take, roughly, in bytes. */
  private cost = 0
  private ended: Effect.Effect<never, E | Cause.Done> | undefined = undefined
  private waiting: ((pull: Effect.Effect<Batch<A>, E | Cause.Done>) => void) | undefined = undefined
  private closed = false
  private acknowledge: ((bytes: number) => void) | undefined = undefined

  constructor() {
    this.stream = Stream.fromPull(Effect.succeed(Effect.suspend(() => this.pull()))) as Stream.Stream<A, E> // Done is the end, not an error
  }

  /** Whose messages are pulled here from now on. */
  private followed: MessageQueue<A, E> | undefined = undefined

  /** What is pulled here is pulled there from now on; nothing has been pushed here, and nothing will be. */
  follow(other: MessageQueue<A, E>): void {
    if (this.followed !== undefined || this.ended !== undefined) return
    this.followed = other
    if (this.closed) return other.close()
    const { waiting } = this
    this.waiting = undefined
    waiting?.(Effect.suspend(() => other.pull()))
  }

  /** Called when all that waited has been pulled. */
  onEmptied: (() => void) | undefined = undefined

  /** Says where to tell that bytes of the wire have been taken. */
  attach(acknowledge: (bytes: number) => void): void {
    this.acknowledge = acknowledge
    this.flush()
  }

  /** Enough messages wait: the next ones should stay bytes until these have been pulled. */
  get isFull(): boolean {
    return this.cost >= READ_AHEAD
  }

  private begun = false

  /** A message has come, here or where the messages come from. */
  get hasBegun(): boolean {
    return this.begun || this.followed !== undefined
  }

  /** `bytes`: the size of the message, after decompression. */
  push(message: A, bytes = 0): void {
    if (this.ended !== undefined || this.closed) return
    this.begun = true
    this.messages.push(message)
    this.cost += bytes + OVERHEAD
  }

  /** Bytes that came in; the messages that they completed were pushed before. */
  received(bytes: number): void {
    this.bytes += bytes
    if (this.messages.length > 0) this.wake()
    else this.flush() // part of a message, or nobody reads: no pull would acknowledge it
  }

  /** No more messages. What was pushed is still pulled before the end shows. */
  end(exit: Exit.Exit<unknown, E>): void {
    if (this.followed !== undefined) return this.followed.end(exit)
    if (this.ended !== undefined) return
    this.ended = Exit.isSuccess(exit) ? Cause.done() : Effect.failCause(exit.cause)
    this.wake()
  }

  /** Nobody pulls any more; what still comes is acknowledged and dropped. */
  close(): void {
    this.closed = true
    if (this.followed !== undefined) return this.followed.close()
    this.empty()
  }

  private pull(): Effect.Effect<Batch<A>, E | Cause.Done> {
    if (this.followed !== undefined) return this.followed.pull()
    return this.take() ?? this.wait
  }

  private readonly wait = Effect.callback<Batch<A>, E | Cause.Done>((resume) => {
    this.waiting = resume
    return Effect.sync(() => (this.waiting = undefined))
  })

  private take(): Effect.Effect<Batch<A>, E | Cause.Done> | undefined {
    if (this.messages.length === 0) return this.ended
    const batch = this.messages as Batch<A> // not empty
    this.empty()
    return Effect.succeed(batch)
  }

  private empty(): void {
    this.messages = []
    this.cost = 0
    this.flush()
    this.onEmptied?.()
  }

  private flush(): void {
    if (this.bytes === 0 || this.acknowledge === undefined) return
    const bytes = this.bytes
    this.bytes = 0
    this.acknowledge(bytes)
  }

  private wake(): void {
    if (this.waiting === undefined) return
    const pull = this.take()
    if (pull === undefined) return
    const resume = this.waiting
    this.waiting = undefined
    resume(pull)
  }
}
