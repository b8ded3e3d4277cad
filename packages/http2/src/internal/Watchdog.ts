import { ConnectionError } from "../ConnectionError.ts"
import { ErrorCode } from "../ErrorCode.ts"
import type { Limits } from "../Limits.ts"
import type { After } from "./Platform.ts"
import type { Stream } from "../Stream.ts"

/** What a watchdog asks of its connection. */
export interface Watched {
  readonly limits: Limits
  readonly openStreams: number
  readonly closed: boolean
  readonly closing: boolean
  /** What the peer still owes of its half of the handshake. */
  readonly owes: "preface" | "settings" | undefined
  /** Bytes that a socket that takes no more still holds, or -1 when it takes more. */
  readonly stuck: number
  /** Streams that have something to send, and how many bytes. */
  readonly queued: ReadonlyMap<Stream, number>
  ping(callback: (acknowledged: boolean) => void): boolean
  shutdown(debug: string): void
  close(code: number, debug: string): void
  destroy(error: Error): void
  /** The peer has not acknowledged the announcement of the end. */
  onDrainTimeout(): void
  /** The peer has taken nothing of what this stream has to send. */
  onFlushTimeout(stream: Stream): void
}

const NEVER = Number.POSITIVE_INFINITY
const NONE: ReadonlyMap<Stream, number> = new Map()

/**
 * Ends a connection whose peer stalls, and asks a silent peer whether it lives. One timer serves all of it, and it is set again only when it fires or
 * something nearer comes up; what happens on the connection leaves times behind, no timers. A connection without anything to wait for has none.
 */
export class Watchdog {
  /** When the last bytes came. */
  private lastRead: number
  private readonly owner: Watched
  private readonly limits: Limits
  private readonly now: () => number
  private readonly after: After
  private readonly startedAt: number
  private settled = false
  /** Since when a header block or the frame being read has been incomplete. */
  private headerSince = NEVER
  private stuckSince = NEVER
  private stuckBytes = 0
  private flushDue = NEVER
  private unsent = NONE
  private pingedAt = NEVER
  /** Keep-alive waits for a stream. */
  private dormant = false
  private idleSince: number
  private drainSince = NEVER
  private due = NEVER
  private cancel: (() => void) | undefined = undefined

  constructor(owner: Watched, now: () => number, after: After) {
    this.owner = owner
    this.limits = owner.limits
    this.now = now
    this.after = after
    this.startedAt = this.lastRead = this.idleSince = now()
  }

  start(): void {
    this.look()
  }

  stop(): void {
    this.cancel?.()
    this.cancel = undefined
    this.due = NEVER
    this.dormant = false
  }

  onRead(): void {
    this.lastRead = this.now()
  }

  /** The chunk just read ends inside a frame or a header block that has begun in it. */
  onIncomplete(): void {
    if (this.limits.headerTimeout === 0) return
    this.headerSince = this.lastRead
    this.expect(this.headerSince + this.limits.headerTimeout)
  }

  /** Nothing is incomplete any more. */
  onComplete(): void {
    this.headerSince = NEVER
  }

  /** The socket takes no more. */
  onStuck(bytes: number): void {
    if (this.limits.writeTimeout === 0) return
    this.stuckSince = this.now()
    this.stuckBytes = bytes
    this.expect(this.stuckSince + this.limits.writeTimeout)
  }

  onQueued(): void {
    if (this.limits.flushTimeout === 0 || this.flushDue !== NEVER) return
    this.flushDue = this.now() + this.limits.flushTimeout
    this.expect(this.flushDue)
  }

  onStreamOpened(): void {
    if (!this.dormant) return
    this.dormant = false
    this.expect(Math.max(this.now(), this.lastRead + this.limits.keepAliveInterval))
  }

  /** The last stream is gone. */
  onIdle(): void {
    if (this.limits.maxIdle === 0) return
    this.idleSince = this.now()
    this.expect(this.idleSince + this.limits.maxIdle)
  }

  /** The end has been announced; the peer's acknowledgement is awaited for as long as that of any ping. */
  onDraining(): void {
    this.drainSince = this.now()
    this.expect(this.drainSince + this.limits.keepAliveTimeout)
  }

  private expect(at: number): void {
    if (at >= this.due || this.owner.closed) return
    this.cancel?.()
    this.due = at
    this.cancel = this.after(Math.max(0, at - this.now()), this.look)
  }

  /** Each check acts when its time has come and says when to look again. */
  private readonly look = (): void => {
    this.cancel = undefined
    this.due = NEVER
    if (this.owner.closed) return
    const now = this.now()
    const next = Math.min(
      this.checkHandshake(now),
      this.checkHeader(now),
      this.checkStuck(now),
      this.checkFlush(now),
      this.checkKeepAlive(now),
      this.checkIdle(now),
      this.checkDraining(now)
    )
    if (next !== NEVER) this.expect(next)
  }

  private checkHandshake(now: number): number {
    const { limits, owner } = this
    if (this.settled || limits.settingsTimeout === 0) return NEVER
    const { owes } = owner
    if (owes === undefined) {
      this.settled = true
      return NEVER
    }
    const at = this.startedAt + limits.settingsTimeout
    if (now < at) return at
    if (owes === "preface") owner.close(ErrorCode.PROTOCOL_ERROR, "the preface has not come in time")
    else owner.close(ErrorCode.SETTINGS_TIMEOUT, "settings have not been sent and acknowledged in time")
    return NEVER
  }

  private checkHeader(now: number): number {
    if (this.headerSince === NEVER) return NEVER
    const at = this.headerSince + this.limits.headerTimeout
    if (now < at) return at
    this.owner.close(ErrorCode.ENHANCE_YOUR_CALM, "a header block or frame has not come to its end in time")
    return NEVER
  }

  private checkStuck(now: number): number {
    const { limits, owner } = this
    const bytes = owner.stuck
    if (bytes < 0 || limits.writeTimeout === 0 || owner.closed) return NEVER
    const at = this.stuckSince + limits.writeTimeout
    if (now < at) return at
    if (bytes < this.stuckBytes) {
      this.stuckBytes = bytes
      this.stuckSince = now
      return now + limits.writeTimeout
    }
    owner.destroy(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "the peer does not read"))
    return NEVER
  }

  /** What has as much to send as the last time has sent nothing in between. */
  private checkFlush(now: number): number {
    const { limits, owner } = this
    if (this.flushDue === NEVER || now < this.flushDue || owner.closed) return this.flushDue
    const before = this.unsent
    this.unsent = owner.queued
    for (const [stream, bytes] of this.unsent) if (before.get(stream) === bytes) owner.onFlushTimeout(stream)
    this.flushDue = this.unsent.size === 0 ? NEVER : now + limits.flushTimeout
    return this.flushDue
  }

  private checkKeepAlive(now: number): number {
    const { limits, owner } = this
    const { keepAliveInterval, keepAliveTimeout, keepAliveWithoutStreams } = limits
    if (keepAliveInterval === 0 || owner.closed) return NEVER
    // Whatever comes is a sign of life.
    if (this.pingedAt <= this.lastRead) this.pingedAt = NEVER
    if (this.pingedAt !== NEVER) {
      const at = this.pingedAt + keepAliveTimeout
      if (now < at) return at
      owner.destroy(new ConnectionError(ErrorCode.CONNECT_ERROR, "the peer does not answer keep-alive pings"))
      return NEVER
    }
    if (owner.openStreams === 0 && !keepAliveWithoutStreams) {
      this.dormant = true
      return NEVER
    }
    const at = this.lastRead + keepAliveInterval
    if (now < at) return at
    this.pingedAt = now
    owner.ping(ignore)
    return now + keepAliveTimeout
  }

  private checkIdle(now: number): number {
    const { limits, owner } = this
    if (limits.maxIdle === 0 || owner.closing || owner.openStreams > 0) return NEVER
    const at = this.idleSince + limits.maxIdle
    if (now < at) return at
    owner.shutdown("max_idle")
    return NEVER
  }

  private checkDraining(now: number): number {
    if (this.drainSince === NEVER || this.owner.closed) return NEVER
    const at = this.drainSince + this.limits.keepAliveTimeout
    if (now < at) return at
    this.drainSince = NEVER
    this.owner.onDrainTimeout()
    return NEVER
  }
}

const ignore = (): void => {}
