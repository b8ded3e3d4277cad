import type { Duplex } from "node:stream"
import type { ConnectionOptions } from "./ConnectionOptions.ts"
import { ConnectionError } from "./ConnectionError.ts"
import { ErrorCode } from "./ErrorCode.ts"
import type { Headers } from "./Headers.ts"
import { AbuseCounter } from "./internal/AbuseCounter.ts"
import { Farewell } from "./internal/Farewell.ts"
import * as Frame from "./internal/Frame.ts"
import { Inbound, type InboundOwner } from "./internal/Inbound.ts"
import type { Output } from "./internal/Output.ts"
import { Pings } from "./internal/Pings.ts"
import * as Platform from "./internal/Platform.ts"
import { RecentIds } from "./internal/RecentIds.ts"
import { Sender, type SenderOwner } from "./internal/Sender.ts"
import * as SettingsFrame from "./internal/SettingsFrame.ts"
import * as State from "./internal/StreamState.ts"
import { StreamTable } from "./internal/StreamTable.ts"
import { WindowGrowth } from "./internal/WindowGrowth.ts"
import { Watchdog, type Watched } from "./internal/Watchdog.ts"
import * as Limits from "./Limits.ts"
import * as Settings from "./Settings.ts"
import type { Stream } from "./Stream.ts"

/**
 * One HTTP/2 connection over a duplex byte stream. Everything that a chunk of input causes, and what handlers answer while it is read, leaves in one
 * write at its end.
 */
export abstract class Connection implements InboundOwner, SenderOwner, Watched {
  readonly duplex: Duplex
  /** No stream can be opened any more and all are gone; the duplex may still be flushing. */
  closed = false
  /** The connection is going away: ours or the peer's GOAWAY has been sent. */
  closing = false
  /** @internal */
  readonly limits: Limits.Limits
  /** The peer's settings. @internal */
  readonly peer: Settings.Settings = Settings.initial()
  /** @internal */
  readonly sender: Sender
  /** @internal */
  readonly output: Output
  /** @internal */
  readonly growth: WindowGrowth
  /** @internal */
  abstract readonly isClient: boolean
  protected readonly streams = new StreamTable()
  protected readonly inbound: Inbound
  protected readonly resets: AbuseCounter
  protected readonly watchdog: Watchdog
  /** Window of a new stream; larger than the limit until the peer has acknowledged a smaller one. */
  protected receiveWindow: number
  private readonly pings = new Pings()
  private readonly recentlyReset = new RecentIds()
  private readonly onClose: ((error?: Error) => void) | undefined
  private readonly schedule: (task: () => void) => void
  /** Inside a read or a drain, at whose end everything is flushed. */
  private busy = false
  private scheduled = false
  /** Chunks that a duplex delivers from within our own write. */
  private readonly inbox: Array<Uint8Array> = []
  /** Bytes other than DATA handed to a socket that takes no more. */
  private backlog = 0
  /** The watchdog knows that the socket is full. */
  private isStuck = false
  private error: Error | undefined = undefined
  private reported = false
  private readonly farewell: Farewell

  protected constructor(duplex: Duplex, options: ConnectionOptions) {
    const { after = Platform.after, now = Platform.now } = options
    this.duplex = duplex
    this.farewell = new Farewell(duplex)
    this.limits = Limits.resolve(options)
    this.onClose = options.onClose
    this.schedule = options.schedule ?? process.nextTick
    this.receiveWindow = Math.max(65_535, this.limits.initialWindowSize)
    this.sender = new Sender(this, duplex, this.peer, this.limits, options.recycle ?? false)
    this.output = this.sender.output
    this.growth = new WindowGrowth(this.limits, now, (callback) => this.ping(callback))
    this.inbound = new Inbound(this, now)
    this.resets = new AbuseCounter(this.limits.maxResets, this.limits.abuseWindow, now, "streams reset")
    this.watchdog = new Watchdog(this, now, after)
  }

  /** Streams open now, of either side. */
  get openStreams(): number {
    return this.streams.size
  }

  /**
   * Bytes that the peer makes this connection hold: frames and header blocks that have not come whole, header tables, what it was sent and has not read,
   * and what it sent and nobody has consumed. Bounded by the limits; worked out when asked for.
   */
  get heldBytes(): number {
    let bytes = this.inbound.heldBytes + this.sender.heldBytes + this.duplex.writableLength
    for (const chunk of this.inbox) bytes += chunk.length
    for (const stream of this.streams.all())
      bytes += stream.queued + this.receiveWindow + stream.grown - stream.receiveWindow - stream.released
    return bytes
  }

  /** Goes away without breaking an exchange: announces the end, finishes what is open, then ends the duplex. */
  abstract shutdown(debug?: string): void

  /** Says GOAWAY with this code and ends now; open streams are aborted. */
  close(code: number, debug = ""): void {
    if (this.closed) return
    this.writeGoAway(this.lastPeerStream(), code, debug)
    this.terminate(code === ErrorCode.NO_ERROR ? undefined : new ConnectionError(code, debug), code)
  }

  /** Ends now without a word to the peer. */
  destroy(error?: Error): void {
    this.error ??= error
    if (!this.closed) {
      this.closed = this.closing = true
      this.inbound.reader.stop()
      this.watchdog.stop()
      this.abortAll(this.lossCode(), true)
    }
    this.duplex.destroy()
  }

  /** Measures the peer: `callback` gets true with its answer, false when the connection ends before. False when 32 pings are on their way already. */
  ping(callback: (acknowledged: boolean) => void): boolean {
    const payload = this.closed ? undefined : this.pings.add(callback)
    if (payload === undefined) return false
    this.output.frame(8, Frame.PING, 0, 0)
    this.output.uint32(0)
    this.output.uint32(payload)
    this.wake()
    return true
  }

  // What follows is for the parts of the engine.

  /** @internal */
  abstract onDrainTimeout(): void
  /** @internal */
  abstract onFlushTimeout(stream: Stream): void
  /** @internal */
  abstract onPing(): void
  /** @internal */
  abstract isIdle(id: number): boolean
  /** @internal */
  abstract onHeaderBlock(id: number, headers: Headers, endStream: boolean): boolean
  /** @internal */
  abstract onGoAway(lastId: number, code: number, debug: string): void
  /** @internal */
  abstract onLocalEnd(stream: Stream): void
  /** Called after a stream has left the table. */
  protected abstract onStreamClosed(): void
  /** The exchange is complete although the stream is not: nothing to tell the owner. */
  protected abstract isComplete(stream: Stream): boolean
  protected abstract lastPeerStream(): number

  /** @internal */
  get queued(): ReadonlyMap<Stream, number> {
    const queued = new Map<Stream, number>()
    for (const stream of this.streams.all()) if (stream.queued > 0) queued.set(stream, stream.queued)
    return queued
  }

  /** @internal */
  onQueued(): void {
    this.watchdog.onQueued()
  }

  /** @internal */
  find(id: number): Stream | undefined {
    return this.streams.get(id)
  }

  /** @internal */
  onRemoteEnd(stream: Stream): void {
    if ((stream.state & (State.LOCAL_END | State.CLOSED)) === State.LOCAL_END) this.remove(stream)
  }

  /** @internal */
  onPeerReset(stream: Stream, code: number): void {
    if (!this.isClient) this.resets.add()
    this.abort(stream, code, code !== ErrorCode.REFUSED_STREAM)
  }

  /** The peer broke the rules on this stream alone. @internal */
  streamError(stream: Stream, code: number): void {
    this.writeReset(stream.id, code)
    this.abort(stream, code, true)
    if (!this.isClient) this.resets.add()
  }

  /** The owner gives up the stream. @internal */
  resetStream(stream: Stream, code: number): void {
    // A head that has not left means that the peer knows nothing of a client's stream.
    if (!this.isClient || stream.head === undefined) this.writeReset(stream.id, code)
    this.remove(stream)
  }

  /** @internal */
  onFrameAfterEnd(id: number, isHeaders: boolean): void {
    if (this.recentlyReset.has(id)) return
    // The peer has ended or reset the stream itself, unless our memory of resets is too short to tell.
    if (isHeaders && !this.recentlyReset.overflowed) throw new ConnectionError(ErrorCode.STREAM_CLOSED, "HEADERS on a closed stream")
    this.writeReset(id, ErrorCode.STREAM_CLOSED)
  }

  /** @internal */
  release(stream: Stream, bytes: number): void {
    const window = this.receiveWindow + stream.grown
    stream.released += Math.min(bytes, window - stream.receiveWindow - stream.released)
    if (stream.released < Math.max(1, window >>> 1)) return
    const more = this.growth.onHalf(window)
    stream.grown += more
    stream.released += more
    stream.receiveWindow += stream.released
    this.output.frame(4, Frame.WINDOW_UPDATE, 0, stream.id)
    this.output.uint32(stream.released)
    stream.released = 0
    this.sender.hasSpoken = true
    this.wake()
  }

  /** @internal */
  onWindow(stream: Stream | undefined, increment: number): void {
    const { sender } = this
    if (stream === undefined) {
      sender.window += increment
      if (sender.window > Frame.MAX_31) throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "window of the connection too large")
      sender.onConnectionWindow()
      return
    }
    stream.sendWindow += increment
    if (stream.sendWindow > Frame.MAX_31) this.streamError(stream, ErrorCode.FLOW_CONTROL_ERROR)
    else sender.onStreamWindow(stream)
  }

  /** @internal */
  onPeerSettings(initialWindowDelta: number): void {
    this.sender.encoder.setPeerLimit(this.peer.headerTableSize)
    if (initialWindowDelta === 0) return
    for (const stream of this.streams.all()) {
      stream.sendWindow += initialWindowDelta
      if (stream.sendWindow > Frame.MAX_31) throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "window of a stream too large")
      this.sender.onStreamWindow(stream)
    }
  }

  /** @internal */
  onSettingsAcknowledged(): void {
    this.inbound.decoder.setLimit(this.limits.headerTableSize)
    const delta = this.limits.initialWindowSize - this.receiveWindow
    if (delta === 0) return
    this.receiveWindow += delta
    for (const stream of this.streams.all()) {
      stream.receiveWindow += delta
      // What was consumed under the larger window may now be all that the peer waits for.
      stream.consumed(0)
    }
  }

  /** @internal */
  get owes(): "preface" | "settings" | undefined {
    return this.inbound.isSettled ? undefined : "settings"
  }

  /** @internal */
  get stuck(): number {
    return this.sender.blocked ? this.duplex.writableLength : -1
  }

  /** @internal */
  onPong(payload: number): void {
    this.pings.acknowledge(payload)
  }

  /** Flushes soon: at the end of the read in progress, or else of the current task. @internal */
  wake(): void {
    if (this.busy || this.scheduled) return
    this.scheduled = true
    this.schedule(this.onTick)
  }

  /** Starts to listen. `early` are bytes that somebody else has read already. */
  protected start(early: Uint8Array | undefined): void {
    const { duplex } = this
    SettingsFrame.write(this.output, this.limits, this.isClient)
    duplex.on("data", this.onChunk)
    duplex.on("drain", this.onSocketDrain)
    duplex.on("end", this.onEnd)
    duplex.on("error", this.onError)
    duplex.on("close", this.onDuplexClose)
    if (early !== undefined && early.length > 0) this.inbox.push(early)
    this.wake()
    this.watchdog.start()
    if (duplex.destroyed) this.schedule(this.onDuplexClose)
  }

  /** Reads a chunk; a `ConnectionError` may be thrown. A server looks for the preface first. */
  protected readChunk(chunk: Uint8Array): void {
    this.inbound.reader.read(chunk, 0)
  }

  /** The last frames before a flush; a server resets the requests that nobody reads to the end. */
  protected beforeFlush(): void {}

  protected writeReset(id: number, code: number): void {
    this.recentlyReset.add(id)
    this.output.frame(4, Frame.RST_STREAM, 0, id)
    this.output.uint32(code)
    this.wake()
  }

  protected writeGoAway(lastId: number, code: number, debug = ""): void {
    const text = Buffer.from(debug.slice(0, 256), "utf8")
    this.output.frame(8 + text.length, Frame.GOAWAY, 0, 0)
    this.output.uint32(lastId)
    this.output.uint32(code)
    this.output.copy(text, 0, text.length)
    this.wake()
  }

  /** Takes a stream out of the connection. */
  protected remove(stream: Stream): void {
    stream.state |= State.CLOSED
    this.streams.delete(stream)
    if (stream.grown > 0) this.growth.giveBack(stream.grown)
    this.sender.drop(stream)
    if (this.streams.size === 0) this.watchdog.onIdle()
    this.onStreamClosed()
  }

  /** Takes a stream out and tells its owner, unless there is nothing to tell. */
  protected abort(stream: Stream, code: number, processed: boolean): void {
    const isComplete = this.isComplete(stream)
    this.remove(stream)
    if (!isComplete) stream.listener.onAbort(code, processed)
  }

  /** Ends the duplex when the connection is going away and no stream is left. */
  protected finishIfIdle(): void {
    if (!this.closed && this.streams.size === 0) this.terminate(undefined, ErrorCode.NO_ERROR)
  }

  /** Remembers why the connection is ending, for `onClose`. */
  protected note(error: Error): void {
    this.error ??= error
  }

  /** `discards`: what has been collected does not leave any more. */
  private abortAll(code: number, discards: boolean): void {
    for (const stream of this.streams.all()) {
      if (!stream.closed) this.abort(stream, code, !this.isUnsent(stream, discards))
    }
    this.pings.fail()
  }

  /** Aborts what is open, flushes and ends the duplex. */
  private terminate(error: Error | undefined, code: number): void {
    this.error ??= error
    this.closed = this.closing = true
    this.inbound.reader.stop()
    this.watchdog.stop()
    this.abortAll(code, false)
    if (this.duplex.destroyed) return
    this.beforeFlush()
    this.sender.spill()
    this.farewell.begin(this.limits.linger, !this.isClient || error !== undefined)
  }

  private fail(error: unknown): void {
    if (this.closed) {
      this.error ??= error instanceof Error ? error : new Error(String(error))
      this.duplex.destroy()
    } else if (error instanceof ConnectionError) {
      this.error ??= error
      this.close(error.code, error.debug)
    } else {
      // A listener has thrown: a mistake of the owner, of which the peer learns no details.
      this.error = error instanceof Error ? error : new Error(String(error))
      this.close(ErrorCode.INTERNAL_ERROR)
    }
  }

  /** Runs with `busy` set; whatever was collected leaves at the end. */
  private run(chunk: Uint8Array | undefined): void {
    this.busy = true
    if (chunk !== undefined) this.watchdog.onRead()
    try {
      if (chunk !== undefined && this.inbox.length === 0) {
        this.readChunk(chunk)
      } else if (chunk !== undefined) {
        this.inbox.push(chunk)
      }
      this.flush()
      while (this.inbox.length > 0) {
        this.readChunk(this.inbox.shift()!)
        this.flush()
      }
      if (chunk !== undefined) this.checkComplete()
    } catch (error) {
      this.inbox.length = 0
      this.fail(error)
    }
    this.busy = false
    // A duplex that hands its bytes over inside `write` may have brought an answer behind what just left.
    if (this.output.size > 0 && !this.closed) this.wake()
  }

  private flush(): void {
    const { sender } = this
    if (this.closed) return
    if (sender.blocked) {
      this.backlog += this.output.size
      if (this.backlog > this.limits.maxQueuedBytes) {
        this.destroy(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "the peer does not read its answers"))
        return
      }
    } else {
      sender.pump()
    }
    this.beforeFlush()
    sender.spill()
    if (sender.blocked && !this.isStuck) {
      this.isStuck = true
      this.watchdog.onStuck(this.duplex.writableLength)
    }
  }

  /** Tells the watchdog whether the input ends inside a frame or a header block. */
  private checkComplete(): void {
    const { assembly, reader } = this.inbound
    if (assembly.id !== 0) {
      if (!assembly.hasBegun) return
      assembly.hasBegun = false
    } else if (reader.isHolding) {
      if (!reader.hasHeld) return
      reader.hasHeld = false
    } else {
      this.watchdog.onComplete()
      return
    }
    this.watchdog.onIncomplete()
  }

  private readonly onTick = (): void => {
    this.scheduled = false
    if (!this.busy && !this.closed) this.run(undefined)
  }

  private readonly onChunk = (chunk: Uint8Array): void => {
    if (this.closed) {
      this.farewell.drop(chunk)
    } else if (this.busy) {
      this.inbox.push(chunk)
    } else {
      this.run(chunk)
    }
  }

  private readonly onSocketDrain = (): void => {
    this.output.drained()
    this.sender.blocked = this.isStuck = false
    this.backlog = 0
    if (this.busy) this.schedule(this.onTick)
    else if (!this.closed) this.run(undefined)
  }

  private readonly onEnd = (): void => {
    this.lose(undefined)
  }

  private readonly onError = (error: Error): void => {
    this.lose(error)
  }

  private readonly onDuplexClose = (): void => {
    this.lose(undefined)
    this.farewell.done()
    if (this.reported) return
    this.reported = true
    this.onClose?.(this.error)
  }

  /** The duplex is gone. */
  private lose(error: Error | undefined): void {
    if (this.closed) this.duplex.destroy()
    else this.destroy(error ?? (this.streams.size > 0 ? new ConnectionError(this.lossCode(), "connection lost", true) : undefined))
  }

  /** Nothing of a stream has left, so that the peer cannot know it. */
  protected isUnsent(_stream: Stream, _discards: boolean): boolean {
    return false
  }

  /** The code that streams get when the connection is lost: that of the peer's GOAWAY if it gave one. */
  protected lossCode(): number {
    return ErrorCode.CONNECT_ERROR
  }
}
