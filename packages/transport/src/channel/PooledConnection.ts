/** One connection of a node, as calls and as its node see it. */
import type { CallShape } from "@effect-kratos/core/Call"
import type { Try } from "@effect-kratos/core/selector/Selector"
import { type ClientConnection, TOO_MANY_PINGS } from "@effect-kratos/http2/ClientConnection"
import type { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import type { Stream as H2Stream, StreamListener } from "@effect-kratos/http2/Stream"
import type { DeadlineTimers, Timer } from "../DeadlineTimers.ts"
import type { Dialled } from "./Dial.ts"

/** What calls need of a connection. */
export interface Connection {
  readonly address: string
  readonly authority: string
  readonly scheme: "http" | "https"
  /** It takes calls, now or when a stream is free. */
  readonly usable: () => boolean
  /** A call is sent to the node: the attempt must be ended. */
  readonly begin: (call: CallShape) => Try<unknown>
  /** Opens a stream; undefined when the connection takes no more at present. */
  readonly request: (block: HeaderBlock, listener: StreamListener, body: Uint8Array | undefined, endStream: boolean) => H2Stream | undefined
}

/** The node of a connection. */
export interface Owner {
  readonly address: string
  readonly authority: string
  readonly scheme: "http" | "https"
  readonly timers: DeadlineTimers
  readonly begin: (call: CallShape) => Try<unknown>
  /** There may be room for a stream again. */
  readonly onRoom: () => void
  /** It takes no more calls. `calm`: the server finds that we ping too often. */
  readonly onLeaving: (connection: PooledConnection, calm: boolean) => void
  readonly onClosed: (connection: PooledConnection, error: Error | undefined) => void
}

export class PooledConnection implements Connection {
  readonly address: string
  readonly authority: string
  readonly scheme: "http" | "https"
  readonly engine: ClientConnection
  /** When it was ready, in milliseconds since the epoch. */
  readonly since: number
  private readonly owner: Owner
  private readonly age: Timer | undefined

  /** `maxAge` in milliseconds, infinite for none. */
  constructor({ engine, events }: Dialled, owner: Owner, maxAge: number) {
    const { timers } = owner
    this.address = owner.address
    this.authority = owner.authority
    this.scheme = owner.scheme
    this.engine = engine
    this.owner = owner
    this.since = timers.now()
    this.age = maxAge === Number.POSITIVE_INFINITY ? undefined : timers.add(this.since + maxAge, () => this.leave())
    events.onRoom = () => owner.onRoom()
    events.onGoAway = (_, debug) => owner.onLeaving(this, debug === TOO_MANY_PINGS)
    events.onClose = (error) => this.close(error)
  }

  /** A call can go now. */
  get hasRoom(): boolean {
    return this.engine.hasRoom
  }

  usable(): boolean {
    return !this.engine.closing
  }

  begin(call: CallShape): Try<unknown> {
    return this.owner.begin(call)
  }

  request(block: HeaderBlock, listener: StreamListener, body: Uint8Array | undefined, endStream: boolean): H2Stream | undefined {
    return this.engine.request(block, listener, body, endStream)
  }

  /** Takes no more calls, and ends with the last one. */
  leave(): void {
    this.engine.shutdown()
    this.owner.onLeaving(this, false)
  }

  /** It has ended. */
  close(error: Error | undefined): void {
    if (this.age !== undefined) this.owner.timers.remove(this.age)
    this.owner.onClosed(this, error)
  }
}
