import type { Duplex } from "node:stream"
import { Connection } from "./Connection.ts"
import type { ConnectionOptions } from "./ConnectionOptions.ts"
import { ConnectionError } from "./ConnectionError.ts"
import { ErrorCode } from "./ErrorCode.ts"
import { type Headers, REQUEST, TOO_LARGE, TRAILERS } from "./Headers.ts"
import * as Frame from "./internal/Frame.ts"
import { PingStrikes } from "./internal/PingStrikes.ts"
import { now } from "./internal/Platform.ts"
import * as State from "./internal/StreamState.ts"
import { Stream, type StreamListener } from "./Stream.ts"

export interface ServerOptions extends ConnectionOptions {
  /** A request. Returns its listener; it may have answered already. `endStream`: there is no body. */
  readonly onStream: (stream: Stream, headers: Headers, endStream: boolean) => StreamListener
  /** Bytes that a sniffer has read from the duplex, the start of the HTTP/2 preface. */
  readonly preface?: Uint8Array | undefined
}

/** Stands in until `onStream` has returned. */
const nobody: StreamListener = { onData: () => {}, onTrailers: () => {}, onAbort: () => {} }

/** The server's end of a connection. */
export class ServerConnection extends Connection {
  readonly isClient = false
  private readonly onStream: (stream: Stream, headers: Headers, endStream: boolean) => StreamListener
  /** Bytes of the preface seen. */
  private preface = 0
  /** The highest stream id seen, and ranges below it that were skipped: a stream there was never open. */
  private lastId = 0
  private readonly gaps: Array<number> = []
  /** The id in our final GOAWAY; streams above it are refused. */
  private finalId = Frame.MAX_31
  private isFinal = false
  private drainDebug = ""
  /** Streams that are answered but whose requests have not ended. */
  private answered: Array<Stream> = []
  private readonly pingStrikes: PingStrikes

  private constructor(duplex: Duplex, options: ServerOptions) {
    super(duplex, options)
    this.onStream = options.onStream
    this.pingStrikes = new PingStrikes(this.limits, options.now ?? now)
  }

  /** Takes over the duplex, which must not have been read except for `options.preface`. */
  static make(duplex: Duplex, options: ServerOptions): ServerConnection {
    const connection = new ServerConnection(duplex, options)
    connection.start(options.preface)
    return connection
  }

  /** RFC 9113 section 6.8: first the promise, then, when every request sent before it must have arrived, the last id. */
  shutdown(debug = ""): void {
    if (this.closing) return
    this.closing = true
    this.drainDebug = debug
    this.writeGoAway(Frame.MAX_31, ErrorCode.NO_ERROR, debug)
    this.ping((acknowledged) => {
      if (acknowledged) this.finalize()
    })
    this.watchdog.onDraining()
  }

  /** A peer that answers no ping gets the last id all the same. @internal */
  onDrainTimeout(): void {
    this.finalize()
  }

  /** A handler that is still at work is made to wait, whatever time it takes; what a finished one has left behind is not kept for ever. @internal */
  onFlushTimeout(stream: Stream): void {
    if ((stream.state & State.ENDING) === 0) return
    this.writeReset(stream.id, ErrorCode.CANCEL)
    this.abort(stream, ErrorCode.CANCEL, true)
  }

  /** @internal */
  onPing(): void {
    const { sender } = this
    this.pingStrikes.add(sender.hasSpoken, this.streams.size)
    sender.hasSpoken = false
  }

  /** @internal */
  override get owes(): "preface" | "settings" | undefined {
    return this.preface < Frame.PREFACE.length ? "preface" : super.owes
  }

  /** @internal */
  isIdle(id: number): boolean {
    return (id & 1) === 0 || id > this.lastId
  }

  /** @internal */
  onHeaderBlock(id: number, headers: Headers, endStream: boolean): boolean {
    const open = this.streams.get(id)
    if (open !== undefined) {
      this.onTrailers(open, headers, endStream)
      return true
    }
    if ((id & 1) === 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "a client's stream with an even id")
    if (id <= this.lastId) {
      if (this.wasSkipped(id)) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "stream ids must grow")
      this.onFrameAfterEnd(id, true)
      return false
    }
    if (id > this.lastId + 2) this.skip(this.lastId + 2, id - 2)
    this.lastId = id
    const refusal = this.refusal(headers, endStream)
    if (refusal !== ErrorCode.NO_ERROR) {
      this.writeReset(id, refusal)
      this.resets.add()
      return false
    }
    const stream = new Stream(id, this, nobody, this.peer.initialWindowSize, this.receiveWindow, headers.contentLength)
    if (endStream) stream.state = State.REMOTE_END
    this.streams.add(stream)
    this.watchdog.onStreamOpened()
    stream.listener = this.onStream(stream, headers, endStream)
    return true
  }

  /** A client's GOAWAY speaks of streams that we would open: there are none. @internal */
  onGoAway(): void {}

  /** @internal */
  onLocalEnd(stream: Stream): void {
    stream.state |= State.LOCAL_END
    if ((stream.state & State.REMOTE_END) !== 0) this.remove(stream)
    else this.answered.push(stream)
    // Who lets us finish our work may also cancel some of it.
    this.resets.forgive(1)
  }

  /** No request after this one is served. */
  private finalize(): void {
    if (this.isFinal || this.closed) return
    this.isFinal = true
    this.finalId = this.lastId
    this.writeGoAway(this.finalId, ErrorCode.NO_ERROR, this.drainDebug)
    this.finishIfIdle()
  }

  protected onStreamClosed(): void {
    if (this.isFinal) this.finishIfIdle()
  }

  protected isComplete(stream: Stream): boolean {
    return (stream.state & State.LOCAL_END) !== 0
  }

  protected lastPeerStream(): number {
    return Math.min(this.lastId, this.finalId)
  }

  /** An answer before the end of the request, RFC 9113 section 8.1: the rest is not wanted. */
  protected override beforeFlush(): void {
    if (this.answered.length === 0) return
    const { answered } = this
    this.answered = []
    for (const stream of answered) {
      if (!stream.closed) this.resetStream(stream, ErrorCode.NO_ERROR)
    }
  }

  protected override readChunk(chunk: Uint8Array): void {
    let at = 0
    while (this.preface < Frame.PREFACE.length && at < chunk.length) {
      if (chunk[at++] !== Frame.PREFACE.charCodeAt(this.preface++)) {
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "not an HTTP/2 preface")
      }
    }
    this.inbound.reader.read(chunk, at)
  }

  private onTrailers(stream: Stream, headers: Headers, endStream: boolean): void {
    if ((stream.state & State.REMOTE_END) !== 0) {
      this.streamError(stream, ErrorCode.STREAM_CLOSED)
    } else if ((headers.flags & TOO_LARGE) !== 0) {
      this.streamError(stream, ErrorCode.ENHANCE_YOUR_CALM)
    } else if (!endStream || (headers.flags & TRAILERS) === 0 || stream.expected > 0) {
      this.streamError(stream, ErrorCode.PROTOCOL_ERROR)
    } else {
      stream.state |= State.REMOTE_END
      stream.listener.onTrailers(headers)
      this.onRemoteEnd(stream)
    }
  }

  /** Why a request is not accepted, or NO_ERROR. */
  private refusal(headers: Headers, endStream: boolean): number {
    if (this.isFinal || this.streams.size >= this.limits.maxConcurrentStreams) return ErrorCode.REFUSED_STREAM
    if ((headers.flags & TOO_LARGE) !== 0) return ErrorCode.ENHANCE_YOUR_CALM
    if ((headers.flags & REQUEST) === 0 || (endStream && headers.contentLength > 0)) return ErrorCode.PROTOCOL_ERROR
    return ErrorCode.NO_ERROR
  }

  private skip(from: number, to: number): void {
    this.gaps.push(from, to)
    if (this.gaps.length > 32) this.gaps.splice(0, 2)
  }

  private wasSkipped(id: number): boolean {
    for (let i = 0; i < this.gaps.length; i += 2) {
      if (id >= this.gaps[i]! && id <= this.gaps[i + 1]!) return true
    }
    return false
  }
}

export const make = ServerConnection.make
