import type { Duplex } from "node:stream"
import { Connection } from "./Connection.ts"
import type { ConnectionOptions } from "./ConnectionOptions.ts"
import { ConnectionError } from "./ConnectionError.ts"
import { ErrorCode } from "./ErrorCode.ts"
import type { HeaderBlock } from "./HeaderBlock.ts"
import { type Headers, RESPONSE, TOO_LARGE, TRAILERS } from "./Headers.ts"
import * as Frame from "./internal/Frame.ts"
import * as State from "./internal/StreamState.ts"
import { Stream, type StreamListener } from "./Stream.ts"

export interface ClientOptions extends ConnectionOptions {
  /**
   * The server goes away: streams above `lastStreamId` have been aborted as not processed, and no new ones can be opened. `debug` is what it says about
   * it. Called again when the server says it again.
   */
  readonly onGoAway?: ((code: number, lastStreamId: number, debug: string) => void) | undefined
  /** The server's settings have come or changed. */
  readonly onSettings?: (() => void) | undefined
  /** A stream can be opened again after `request` has answered undefined for want of a free one, or after `awaitStream`. */
  readonly onAvailable?: (() => void) | undefined
}

/** RFC 9113 sets no bound before the first SETTINGS frame; what a server then refuses would have to be sent again. */
const UNSETTLED_STREAMS = 100

/** What servers of gRPC say with ENHANCE_YOUR_CALM to clients that ping too often (proposal A8). */
export const TOO_MANY_PINGS = "too_many_pings"

/** The client's end of a connection. */
export class ClientConnection extends Connection {
  readonly isClient = true
  /** The server has answered a request, or broken one off that it may have acted on. */
  wasUsed = false
  private readonly options: ClientOptions
  private nextId = 1
  private isSettled = false
  private wantsStream = false
  /** The first stream opened since the last write, and the number of that write: what a lost connection has certainly not told the server. */
  private unsent = 1
  private unsentSince = 0
  private goAwayCode: number = ErrorCode.NO_ERROR

  private constructor(duplex: Duplex, options: ClientOptions) {
    super(duplex, options)
    this.options = options
    const preface = Uint8Array.from(Frame.PREFACE, (c) => c.charCodeAt(0))
    this.output.copy(preface, 0, preface.length)
  }

  /** Takes over a duplex over which nothing has been said. Requests may be made at once. */
  static make(duplex: Duplex, options: ClientOptions = {}): ClientConnection {
    const connection = new ClientConnection(duplex, options)
    connection.start(undefined)
    return connection
  }

  /** Streams that the server lets us have open; 100 until its settings have come, infinite when it sets no bound. */
  get maxConcurrentStreams(): number {
    return this.isSettled ? this.peer.maxConcurrentStreams : UNSETTLED_STREAMS
  }

  /** The server's settings have come. */
  get settled(): boolean {
    return this.isSettled
  }

  /** Streams opened so far. */
  get openedStreams(): number {
    return (this.nextId - 1) / 2
  }

  /** `request` would open a stream. */
  get hasRoom(): boolean {
    return !this.closing && this.streams.size < this.maxConcurrentStreams
  }

  /** Asks for `onAvailable` without a request that would fail. */
  awaitStream(): void {
    this.wantsStream = true
  }

  /**
   * Opens a stream. `body` is all of it or its beginning; `endStream`: nothing comes behind it. Undefined when no stream can be opened: the connection
   * is closing, has used up its ids (`closing` is then true too), or has as many streams open as the server allows (`onAvailable` says when to try again).
   */
  request(block: HeaderBlock, listener: StreamListener, body?: Uint8Array, endStream = true): Stream | undefined {
    if (this.closing) return undefined
    if (this.streams.size >= this.maxConcurrentStreams) {
      this.wantsStream = true
      return undefined
    }
    const stream = new Stream(this.nextId, this, listener, this.peer.initialWindowSize, this.receiveWindow, -1)
    if (this.output.writes !== this.unsentSince) {
      this.unsentSince = this.output.writes
      this.unsent = this.nextId
    }
    this.nextId += 2
    if (block.isHead) stream.state = State.NO_BODY
    this.streams.add(stream)
    this.watchdog.onStreamOpened()
    if (body === undefined || body.length === 0) {
      stream.headers(block, endStream)
    } else {
      stream.headers(block, false)
      stream.data(body, endStream)
    }
    if (this.nextId > Frame.MAX_31) this.shutdown()
    return stream
  }

  /** Opens no more streams; the connection ends with the last one. */
  shutdown(debug = ""): void {
    if (this.closing) return
    this.closing = true
    this.writeGoAway(0, ErrorCode.NO_ERROR, debug)
    this.finishIfIdle()
  }

  /** @internal */
  onDrainTimeout(): void {}

  /** Calls have deadlines of their own. @internal */
  onFlushTimeout(): void {}

  /** @internal */
  onPing(): void {}

  /** @internal */
  isIdle(id: number): boolean {
    return (id & 1) === 0 || id >= this.nextId
  }

  /** @internal */
  onHeaderBlock(id: number, headers: Headers, endStream: boolean): boolean {
    const stream = this.streams.get(id)
    if (stream === undefined) {
      if (this.isIdle(id)) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "HEADERS on an idle stream")
      this.onFrameAfterEnd(id, true)
      return false
    } else if ((stream.state & State.REMOTE_END) !== 0) {
      this.streamError(stream, ErrorCode.STREAM_CLOSED)
    } else if ((headers.flags & TOO_LARGE) !== 0) {
      this.streamError(stream, ErrorCode.ENHANCE_YOUR_CALM)
    } else if ((stream.state & State.HEAD_RECEIVED) === 0) {
      return this.onHead(stream, headers, endStream)
    } else if (!endStream || (headers.flags & TRAILERS) === 0 || stream.expected > 0) {
      this.streamError(stream, ErrorCode.PROTOCOL_ERROR)
    } else {
      stream.state |= State.REMOTE_END
      stream.listener.onTrailers(headers)
      this.onRemoteEnd(stream)
    }
    return true
  }

  /** @internal */
  onGoAway(lastId: number, code: number, debug: string): void {
    this.closing = true
    // the pace of our pings says nothing of the requests
    this.goAwayCode = debug === TOO_MANY_PINGS ? ErrorCode.NO_ERROR : code
    // first: with its last stream the connection ends
    if (code !== ErrorCode.NO_ERROR) this.note(new ConnectionError(code, debug, true))
    for (const stream of this.streams.all()) {
      if (stream.id > lastId && !stream.closed) this.abort(stream, ErrorCode.REFUSED_STREAM, false)
    }
    this.options.onGoAway?.(code, lastId, debug)
    this.finishIfIdle()
  }

  /** @internal */
  override onPeerSettings(initialWindowDelta: number): void {
    super.onPeerSettings(initialWindowDelta)
    this.isSettled = true
    this.options.onSettings?.()
    this.offer()
  }

  /** @internal */
  onLocalEnd(stream: Stream): void {
    stream.state |= State.LOCAL_END
    if ((stream.state & State.REMOTE_END) !== 0) this.remove(stream)
  }

  protected onStreamClosed(): void {
    if (this.closing) this.finishIfIdle()
    else this.offer()
  }

  protected isComplete(stream: Stream): boolean {
    return (stream.state & State.REMOTE_END) !== 0
  }

  protected lastPeerStream(): number {
    return 0
  }

  protected override abort(stream: Stream, code: number, processed: boolean): void {
    if (processed) this.wasUsed = true
    super.abort(stream, code, processed)
  }

  protected override isUnsent(stream: Stream, discards: boolean): boolean {
    return stream.head !== undefined || (discards && stream.id >= this.unsent && this.output.writes === this.unsentSince)
  }

  protected override lossCode(): number {
    return this.goAwayCode === ErrorCode.NO_ERROR ? ErrorCode.CONNECT_ERROR : this.goAwayCode
  }

  /** False for an informational head: a server may send them without end. */
  private onHead(stream: Stream, headers: Headers, endStream: boolean): boolean {
    const { status } = headers
    if ((headers.flags & RESPONSE) === 0 || (endStream && status < 200)) {
      this.streamError(stream, ErrorCode.PROTOCOL_ERROR)
      return true
    }
    if (status < 200) {
      stream.listener.onInformational?.(headers)
      return false
    }
    stream.state |= State.HEAD_RECEIVED
    this.wasUsed = true
    // The content-length of these says what a GET would have got, RFC 9110 section 8.6.
    const hasBody = (stream.state & State.NO_BODY) === 0 && status !== 204 && status !== 304
    stream.expected = hasBody ? headers.contentLength : headers.contentLength < 0 ? -1 : 0
    if (!endStream) {
      stream.listener.onHeaders?.(headers, false)
    } else if (stream.expected > 0) {
      this.streamError(stream, ErrorCode.PROTOCOL_ERROR)
    } else {
      stream.state |= State.REMOTE_END
      stream.listener.onHeaders?.(headers, true)
      this.onRemoteEnd(stream)
    }
    return true
  }

  /** Tells who waits that a stream is free. */
  private offer(): void {
    if (!this.wantsStream || this.closing || this.streams.size >= this.maxConcurrentStreams) return
    this.wantsStream = false
    this.options.onAvailable?.()
  }
}

export const make = ClientConnection.make
