import type { Connection } from "./Connection.ts"
import type { HeaderBlock } from "./HeaderBlock.ts"
import type { Headers } from "./Headers.ts"
import * as State from "./internal/StreamState.ts"

/** What the owner of a stream hears of it. The callbacks run inside the reading of the connection and must not throw. */
export interface StreamListener {
  /** Client: the response head; heads of status 1xx go to `onInformational`. */
  onHeaders?(headers: Headers, endStream: boolean): void
  /** Client: a head of status 1xx. */
  onInformational?(headers: Headers): void
  /**
   * A part of the body: a view over the read buffer, valid only during the call; copy to keep. The receiver acknowledges with `stream.consumed(n)`;
   * padding is acknowledged by the engine. One DATA frame may come in several parts. Empty only together with `endStream`.
   */
  onData(data: Uint8Array, endStream: boolean): void
  /** The trailer section, which ends the stream. */
  onTrailers(trailers: Headers): void
  /**
   * The exchange ended before its time: RST_STREAM, a malformed message (which the engine has reset), or the end of the connection. `code` is as on
   * the wire; a connection that was lost without a word gives CONNECT_ERROR. `processed` is false when the peer promises that it has not acted on
   * the stream. Called at most once, never after a completed exchange, never after the owner's own `reset`.
   */
  onAbort(code: number, processed: boolean): void
  /** The queue of this stream fell below a quarter of the high-water mark after `data` had answered false. */
  onDrain?(): void
}

/**
 * One exchange. Calls that come too late or out of order (after the end, after a reset, data before the head) do nothing: the peer may have closed the
 * stream at any moment, and the owner hears of it through its listener.
 */
export class Stream {
  declare readonly id: number
  declare readonly connection: Connection
  declare listener: StreamListener
  /** @internal */
  declare state: number
  /** Bytes that we may send; negative after the peer has shrunk its windows. @internal */
  declare sendWindow: number
  /** Bytes that the peer may send. @internal */
  declare receiveWindow: number
  /** Bytes by which the window of this stream is larger than that of others. @internal */
  declare grown: number
  /** Bytes consumed and not yet announced by WINDOW_UPDATE. @internal */
  declare released: number
  /** Bytes that the peer's content-length still promises, or -1. @internal */
  declare expected: number
  /** A head that waits for the socket. @internal */
  declare head: HeaderBlock | undefined
  /** DATA that waits for a window or the socket: `chunks` from `offset` into the first. @internal */
  declare chunks: Array<Uint8Array> | undefined
  /** @internal */
  declare first: number
  /** @internal */
  declare offset: number
  /** @internal */
  declare queued: number
  /** @internal */
  declare trailerBlock: HeaderBlock | undefined
  /** The next stream in the sender's list. @internal */
  declare next: Stream | undefined

  /** @internal */
  constructor(id: number, connection: Connection, listener: StreamListener, sendWindow: number, receiveWindow: number, expected: number) {
    this.id = id
    this.connection = connection
    this.listener = listener
    this.state = 0
    this.sendWindow = sendWindow
    this.receiveWindow = receiveWindow
    this.grown = 0
    this.released = 0
    this.expected = expected
    this.head = undefined
    this.chunks = undefined
    this.first = 0
    this.offset = 0
    this.queued = 0
    this.trailerBlock = undefined
    this.next = undefined
  }

  /** Both sides have ended, or the stream was reset. */
  get closed(): boolean {
    return (this.state & State.CLOSED) !== 0
  }

  /** Sends a header block: informational heads first, then the head of the message. */
  headers(block: HeaderBlock, endStream: boolean): void {
    if ((this.state & (State.CLOSED | State.ENDING | State.HEAD_SENT)) !== 0) return
    if (block.isInformational) {
      if (!endStream) this.connection.sender.informational(this, block)
      return
    }
    this.state |= endStream ? State.HEAD_SENT | State.ENDING : State.HEAD_SENT
    this.connection.sender.head(this, block)
  }

  /**
   * Sends a part of the body. The caller must not change `chunk` afterwards, unless it is `borrowed`: then what does not leave at once is copied, and
   * a scratch buffer can be used again. Answers false when more than the high-water mark is queued; the chunk is queued all the same, and `onDrain`
   * says when to go on.
   */
  data(chunk: Uint8Array, endStream: boolean, borrowed = false): boolean {
    if ((this.state & (State.CLOSED | State.ENDING | State.HEAD_SENT)) !== State.HEAD_SENT) return true
    if (endStream) this.state |= State.ENDING
    else if (chunk.length === 0) return true
    return this.connection.sender.data(this, chunk, borrowed)
  }

  /**
   * Whether data would leave at once. If not, `onDrain` says when it would: a producer that waits for it makes nothing that has to be kept. True of a
   * stream that takes no more data, which drops it.
   */
  isReady(): boolean {
    if ((this.state & (State.CLOSED | State.ENDING | State.HEAD_SENT)) !== State.HEAD_SENT) return true
    return this.connection.sender.isReady(this)
  }

  /** Ends the stream with a trailer section, after all queued data. An empty block ends it without one. */
  trailers(block: HeaderBlock): void {
    if ((this.state & (State.CLOSED | State.ENDING | State.HEAD_SENT)) !== State.HEAD_SENT) return
    this.state |= State.ENDING
    this.connection.sender.trailers(this, block)
  }

  /** A whole response at once: head, one body (`borrowed` as for `data`), and trailers, or END_STREAM on the body without them. */
  respond(head: HeaderBlock, body: Uint8Array, trailers: HeaderBlock | undefined, borrowed = false): void {
    if ((this.state & (State.CLOSED | State.ENDING | State.HEAD_SENT)) !== 0) return
    this.state |= State.HEAD_SENT | State.ENDING
    this.connection.sender.respond(this, head, body, trailers, borrowed)
  }

  /** The receiver is done with so many bytes of the body; the peer may send as many more. */
  consumed(bytes: number): void {
    if ((this.state & (State.CLOSED | State.REMOTE_END)) === 0 && bytes >= 0) this.connection.release(this, bytes)
  }

  /** Ends the stream at once with RST_STREAM; drops what is queued. Does nothing on a closed stream. */
  reset(code: number): void {
    if ((this.state & State.CLOSED) === 0) this.connection.resetStream(this, code)
  }
}
