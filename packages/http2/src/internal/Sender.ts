import type { Duplex } from "node:stream"
import type { HeaderBlock } from "../HeaderBlock.ts"
import type { Limits } from "../Limits.ts"
import type { Settings } from "../Settings.ts"
import type { Stream } from "../Stream.ts"
import * as Frame from "./Frame.ts"
import { HpackEncoder } from "./HpackEncoder.ts"
import { Output } from "./Output.ts"
import * as State from "./StreamState.ts"
import { StreamList } from "./StreamList.ts"

/** Most bytes in a frame, whatever the peer would accept. */
const FRAME = 16_384
/** Bytes that a stream may send while others wait for their turn. */
const TURN = 65_536
/** Collected bytes that leave for the socket without waiting for the end of the tick. */
const SPILL = 49_152

/** What a sender needs of its connection. */
export interface SenderOwner {
  /** Our END_STREAM has been written. */
  onLocalEnd(stream: Stream): void
  /** Something waits for `flush`. */
  wake(): void
  /** A stream has more than it may send. */
  onQueued(): void
}

/**
 * The sending half of a connection: encodes, keeps to the windows and to what the socket takes, and lets streams take turns. While the socket is full
 * (`blocked`) nothing of a stream is written, so what a slow reader can make us hold is bounded by its streams.
 */
export class Sender {
  readonly output: Output
  readonly encoder: HpackEncoder
  /** Bytes that we may send on the connection. */
  window = 65_535
  blocked = false
  /** Bytes of DATA sent since the receiving half last looked: what excuses the peer's WINDOW_UPDATE and PING frames. */
  progress = 0
  /** HEADERS or DATA have been sent, or a stream's window has been opened, since the peer's last ping. */
  hasSpoken = false
  private readonly owner: SenderOwner
  private readonly duplex: Duplex
  private readonly peer: Settings
  private readonly highWaterMark: number
  /** Streams with something to send, and those of them that wait for the window of the connection. */
  private readonly ready = new StreamList()
  private readonly waiting = new StreamList()
  private pumping = false
  /** The stream that may send although others wait, and how much. */
  private turn: Stream | undefined = undefined
  private turnLeft = 0

  constructor(owner: SenderOwner, duplex: Duplex, peer: Settings, limits: Limits, recycle: boolean) {
    this.output = new Output(recycle)
    this.owner = owner
    this.duplex = duplex
    this.peer = peer
    this.highWaterMark = limits.highWaterMark
    this.encoder = new HpackEncoder(limits.encoderTableSize)
  }

  /** Bytes collected for the socket and of the table of the encoder. What streams have queued is theirs. */
  get heldBytes(): number {
    return this.output.size + this.encoder.tableSize
  }

  informational(stream: Stream, block: HeaderBlock): void {
    // Ahead of everything else of its stream, and too small to wait for the socket.
    this.writeBlock(stream.id, block, 0)
    this.owner.wake()
  }

  head(stream: Stream, block: HeaderBlock): void {
    // Heads of a client must leave in the order of their ids: none overtakes one that waits.
    if (this.blocked || !this.ready.isEmpty) {
      stream.head = block
      this.list(stream)
      return
    }
    this.writeHead(stream, block)
    this.owner.wake()
  }

  data(stream: Stream, chunk: Uint8Array, borrowed: boolean): boolean {
    if (
      stream.queued === 0 &&
      !this.blocked &&
      stream.head === undefined &&
      (this.ready.isEmpty || this.turn === stream) &&
      chunk.length <= this.allowance(stream) &&
      chunk.length <= FRAME
    ) {
      this.turnLeft -= chunk.length
      this.writeData(stream, chunk, (stream.state & State.ENDING) !== 0, borrowed)
      if (this.output.size >= SPILL) this.spill()
      this.owner.wake()
      return true
    }
    this.enqueue(stream, borrowed ? copyOf(chunk) : chunk)
    return stream.queued < this.highWaterMark || this.throttle(stream)
  }

  /** Whether data given now would leave at once. If not, `onDrain` is called when it would. */
  isReady(stream: Stream): boolean {
    if (stream.queued === 0 && stream.head === undefined && !this.blocked && this.allowance(stream) > 0) {
      if (this.ready.isEmpty || (this.turn === stream && this.turnLeft > 0)) return true
    }
    stream.state |= State.THROTTLED
    // Without a window of its own it is listed when the peer opens that.
    if (stream.sendWindow > 0 && (stream.state & State.LISTED) === 0) {
      this.enlist(stream, this.window > 0 ? this.ready : this.waiting)
      if (!this.blocked && this.window > 0) this.owner.wake()
    }
    return false
  }

  trailers(stream: Stream, block: HeaderBlock): void {
    if (stream.queued === 0 && stream.head === undefined && !this.blocked) {
      this.writeTrailers(stream, block)
      this.owner.wake()
      return
    }
    stream.trailerBlock = block
    this.list(stream)
  }

  respond(stream: Stream, head: HeaderBlock, body: Uint8Array, trailers: HeaderBlock | undefined, borrowed: boolean): void {
    const { length } = body
    if (!this.blocked && length <= FRAME && (length === 0 || length <= this.allowance(stream))) {
      if (trailers === undefined) {
        this.writeBlock(stream.id, head, length === 0 ? Frame.END_STREAM : 0)
        if (length === 0) this.owner.onLocalEnd(stream)
        else this.writeData(stream, body, true, borrowed)
      } else {
        this.writeBlock(stream.id, head, 0)
        if (length > 0) this.writeData(stream, body, false, borrowed)
        this.writeTrailers(stream, trailers)
      }
      if (this.output.size >= SPILL) this.spill()
      this.owner.wake()
      return
    }
    stream.trailerBlock = trailers
    if (length > 0) this.enqueue(stream, borrowed ? copyOf(body) : body)
    if (this.blocked) {
      stream.head = head
      this.list(stream)
    } else {
      this.writeHead(stream, head)
      this.owner.wake()
    }
  }

  /** Forgets what a stream has queued. */
  drop(stream: Stream): void {
    if ((stream.state & State.LISTED) !== 0) {
      stream.state &= ~State.LISTED
      if (!this.ready.remove(stream)) this.waiting.remove(stream)
    }
    stream.head = stream.trailerBlock = stream.chunks = undefined
    stream.queued = stream.first = stream.offset = 0
  }

  /** The peer has opened the window of a stream. */
  onStreamWindow(stream: Stream): void {
    if ((stream.queued > 0 || (stream.state & State.THROTTLED) !== 0) && stream.sendWindow > 0) this.list(stream)
  }

  /** The peer has opened the window of the connection. */
  onConnectionWindow(): void {
    if (this.waiting.isEmpty) return
    this.ready.append(this.waiting)
    this.owner.wake()
  }

  /** Serves the streams in turn until the windows or the socket stop it. */
  pump(): void {
    if (this.pumping || this.ready.isEmpty) return
    this.pumping = true
    while (!this.blocked) {
      const stream = this.ready.shift()
      if (stream === undefined) break
      stream.state &= ~State.LISTED
      if ((stream.state & State.CLOSED) === 0) this.serve(stream)
      if (this.output.size >= SPILL) this.spill()
    }
    this.pumping = false
  }

  /** Hands what has been collected to the socket. */
  spill(): void {
    if (!this.output.flush(this.duplex)) this.blocked = true
  }

  private serve(stream: Stream): void {
    if (stream.head !== undefined) {
      const { head } = stream
      stream.head = undefined
      this.writeHead(stream, head)
      if ((stream.state & (State.LOCAL_END | State.CLOSED)) !== 0) return
    }
    if (stream.queued > 0) {
      const length = Math.min(stream.queued, FRAME, this.allowance(stream))
      if (length > 0) this.writeQueued(stream, length)
      if (stream.queued > 0) {
        // Without a window of its own a stream is listed again when the peer opens it.
        if (stream.sendWindow > 0) this.enlist(stream, this.window > 0 ? this.ready : this.waiting)
      } else {
        this.finish(stream)
      }
    } else {
      this.finish(stream)
    }
    if ((stream.state & State.THROTTLED) !== 0 && stream.queued <= this.highWaterMark >>> 2) {
      stream.state &= ~State.THROTTLED
      if ((stream.state & (State.CLOSED | State.ENDING)) !== 0) return
      // What it sends from within the callback overtakes nobody: it is its turn.
      this.turn = stream
      this.turnLeft = TURN
      stream.listener.onDrain?.()
      this.turn = undefined
    }
  }

  /** Nothing is queued any more: the end, if it was promised and not yet sent. */
  private finish(stream: Stream): void {
    if ((stream.state & (State.ENDING | State.LOCAL_END | State.CLOSED)) !== State.ENDING) return
    const { trailerBlock } = stream
    stream.trailerBlock = undefined
    if (trailerBlock !== undefined) this.writeTrailers(stream, trailerBlock)
    else this.writeEnd(stream)
  }

  /** The head; ends the stream when nothing comes behind it. */
  private writeHead(stream: Stream, block: HeaderBlock): void {
    const isLast = (stream.state & State.ENDING) !== 0 && stream.queued === 0 && stream.trailerBlock === undefined
    this.writeBlock(stream.id, block, isLast ? Frame.END_STREAM : 0)
    if (isLast) this.owner.onLocalEnd(stream)
  }

  private writeTrailers(stream: Stream, block: HeaderBlock): void {
    if (block.isEmpty) {
      this.writeEnd(stream)
      return
    }
    this.writeBlock(stream.id, block, Frame.END_STREAM)
    this.owner.onLocalEnd(stream)
  }

  private writeEnd(stream: Stream): void {
    this.output.frame(0, Frame.DATA, Frame.END_STREAM, stream.id)
    this.owner.onLocalEnd(stream)
  }

  private writeBlock(id: number, block: HeaderBlock, flags: number): void {
    const { encoder, output } = this
    const length = encoder.encode(block)
    this.hasSpoken = true
    const { bytes } = encoder
    const most = this.peer.maxFrameSize
    if (length <= most) {
      output.frame(length, Frame.HEADERS, flags | Frame.END_HEADERS, id)
      output.copy(bytes, 0, length)
      return
    }
    output.frame(most, Frame.HEADERS, flags, id)
    output.copy(bytes, 0, most)
    for (let at = most; at < length; at += most) {
      const end = Math.min(length, at + most)
      output.frame(end - at, Frame.CONTINUATION, end === length ? Frame.END_HEADERS : 0, id)
      output.copy(bytes, at, end)
    }
  }

  private writeData(stream: Stream, chunk: Uint8Array, isLast: boolean, borrowed: boolean): void {
    const { length } = chunk
    this.window -= length
    this.progress += length
    this.hasSpoken = true
    stream.sendWindow -= length
    this.output.frame(length, Frame.DATA, isLast ? Frame.END_STREAM : 0, stream.id)
    if (borrowed) this.output.copy(chunk, 0, length)
    else this.output.bytes(chunk, 0, length)
    if (isLast) this.owner.onLocalEnd(stream)
  }

  /** One DATA frame of `length` bytes from the queue, over as many chunks as it takes. */
  private writeQueued(stream: Stream, length: number): void {
    const isLast = length === stream.queued && (stream.state & State.ENDING) !== 0 && stream.trailerBlock === undefined
    this.window -= length
    this.progress += length
    this.hasSpoken = true
    stream.sendWindow -= length
    stream.queued -= length
    this.output.frame(length, Frame.DATA, isLast ? Frame.END_STREAM : 0, stream.id)
    const chunks = stream.chunks!
    for (let left = length; left > 0;) {
      const chunk = chunks[stream.first]!
      const end = Math.min(chunk.length, stream.offset + left)
      left -= end - stream.offset
      this.output.bytes(chunk, stream.offset, end)
      stream.offset = end
      if (end === chunk.length) {
        chunks[stream.first++] = empty
        stream.offset = 0
      }
    }
    if (stream.queued === 0) {
      stream.chunks = undefined
      stream.first = 0
    } else if (stream.first >= 64) {
      chunks.splice(0, stream.first)
      stream.first = 0
    }
    if (isLast) this.owner.onLocalEnd(stream)
  }

  /** Bytes that may leave now in one frame. */
  private allowance(stream: Stream): number {
    return Math.min(this.window, stream.sendWindow, this.peer.maxFrameSize)
  }

  private enqueue(stream: Stream, chunk: Uint8Array): void {
    if (chunk.length > 0) {
      if (stream.chunks === undefined) stream.chunks = [chunk]
      else stream.chunks.push(chunk)
      stream.queued += chunk.length
      this.owner.onQueued()
    }
    this.list(stream)
  }

  private throttle(stream: Stream): boolean {
    stream.state |= State.THROTTLED
    return false
  }

  private list(stream: Stream): void {
    if ((stream.state & State.LISTED) === 0) this.enlist(stream, this.ready)
    if (!this.blocked) this.owner.wake()
  }

  private enlist(stream: Stream, list: StreamList): void {
    stream.state |= State.LISTED
    list.push(stream)
  }
}

const empty = new Uint8Array(0)

const copyOf = (chunk: Uint8Array): Uint8Array => {
  const copy = Buffer.allocUnsafe(chunk.length)
  copy.set(chunk)
  return copy
}
