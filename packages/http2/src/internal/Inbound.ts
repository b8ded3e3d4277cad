import { ConnectionError } from "../ConnectionError.ts"
import { ErrorCode } from "../ErrorCode.ts"
import type { Headers } from "../Headers.ts"
import type { Limits } from "../Limits.ts"
import type { Settings } from "../Settings.ts"
import type { Stream } from "../Stream.ts"
import { AbuseCounter } from "./AbuseCounter.ts"
import * as Frame from "./Frame.ts"
import { type FrameHandler, FrameReader } from "./FrameReader.ts"
import { HeaderAssembly } from "./HeaderAssembly.ts"
import { HpackDecoder } from "./HpackDecoder.ts"
import type { Output } from "./Output.ts"
import * as SettingsFrame from "./SettingsFrame.ts"
import type { WindowGrowth } from "./WindowGrowth.ts"
import * as State from "./StreamState.ts"

/** What the receiving half asks of its connection. */
export interface InboundOwner {
  readonly isClient: boolean
  readonly peer: Settings
  readonly limits: Limits
  readonly output: Output
  readonly sender: { progress: number }
  readonly growth: WindowGrowth
  find(id: number): Stream | undefined
  /** No stream of that id has ever been opened. */
  isIdle(id: number): boolean
  /** Answers whether the block has moved an exchange on; one that has not is a frame without content. */
  onHeaderBlock(id: number, headers: Headers, endStream: boolean): boolean
  onPeerSettings(initialWindowDelta: number): void
  onSettingsAcknowledged(): void
  onPeerReset(stream: Stream, code: number): void
  onGoAway(lastId: number, code: number, debug: string): void
  onPing(): void
  onPong(payload: number): void
  onWindow(stream: Stream | undefined, increment: number): void
  onRemoteEnd(stream: Stream): void
  /** A frame for a stream that is over: ignored when we have reset it lately. */
  onFrameAfterEnd(id: number, isHeaders: boolean): void
  streamError(stream: Stream, code: number): void
  release(stream: Stream, bytes: number): void
}

const protocolError = (message: string): ConnectionError => new ConnectionError(ErrorCode.PROTOCOL_ERROR, message)
const sizeError = (message: string): ConnectionError => new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, message)

/** The receiving half of a connection: checks every frame against RFC 9113 section 6 and keeps the receive windows. */
export class Inbound implements FrameHandler {
  readonly reader: FrameReader
  readonly decoder: HpackDecoder
  private readonly owner: InboundOwner
  readonly assembly: HeaderAssembly
  private readonly idleFrames: AbuseCounter
  /** Bytes that the peer may send on the connection. */
  private window: number
  private hasSettings = false
  private hasAcknowledgement = false
  /** The DATA frame being read: its stream, if anybody still listens, and whether it ends it. */
  private dataStream: Stream | undefined = undefined
  private dataEnds = false

  constructor(owner: InboundOwner, now: () => number) {
    const { limits } = owner
    this.owner = owner
    this.reader = new FrameReader(this, limits.maxFrameSize)
    this.decoder = new HpackDecoder(limits.headerTableSize, limits.maxHeaderListSize)
    this.assembly = new HeaderAssembly(limits)
    this.idleFrames = new AbuseCounter(limits.maxIdleFrames, limits.abuseWindow, now, "frames without content")
    this.window = limits.connectionWindowSize
  }

  /** The peer has sent its settings and acknowledged ours. */
  get isSettled(): boolean {
    return this.hasSettings && this.hasAcknowledgement
  }

  /** Bytes kept of frames and header blocks that have not come whole, and of header lists to which later ones may refer. */
  get heldBytes(): number {
    return this.reader.heldBytes + this.assembly.heldBytes + this.decoder.heldBytes
  }

  onDataHead(flags: number, id: number, length: number, payload: number): void {
    if (this.assembly.id !== 0) throw protocolError("DATA inside a header block")
    if (!this.hasSettings) throw protocolError("no SETTINGS frame first")
    if (id === 0) throw protocolError("DATA on stream 0")
    this.window -= length
    if (this.window < 0) throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "window of the connection exceeded")
    const { growth, limits, output } = this.owner
    growth.onData(length)
    // Given back as it comes, not as it is consumed: what is held is bounded by the streams, and one that nobody reads must not stop the others.
    const whole = Math.min(Frame.MAX_31, limits.connectionWindowSize + growth.extra)
    if (whole - this.window >= whole >>> 1) {
      output.frame(4, Frame.WINDOW_UPDATE, 0, 0)
      output.uint32(whole - this.window)
      this.window = whole
    }
    this.dataEnds = (flags & Frame.END_STREAM) !== 0
    this.dataStream = undefined
    const stream = this.owner.find(id)
    if (stream === undefined) {
      if (this.owner.isIdle(id)) throw protocolError("DATA on an idle stream")
      this.idleFrames.add()
      this.owner.onFrameAfterEnd(id, false)
    } else if ((stream.state & State.REMOTE_END) !== 0) {
      this.owner.streamError(stream, ErrorCode.STREAM_CLOSED)
    } else if (this.owner.isClient && (stream.state & State.HEAD_RECEIVED) === 0) {
      this.owner.streamError(stream, ErrorCode.PROTOCOL_ERROR)
    } else {
      this.acceptData(stream, length, payload)
    }
  }

  onDataPart(source: Uint8Array, start: number, end: number, last: boolean): void {
    const stream = this.dataStream
    if (stream === undefined) return
    if ((stream.state & State.CLOSED) !== 0) {
      this.dataStream = undefined
      return
    }
    if (last && this.dataEnds) {
      stream.state |= State.REMOTE_END
      stream.listener.onData(new Uint8Array(source.buffer, source.byteOffset + start, end - start), true)
      this.owner.onRemoteEnd(stream)
    } else if (end > start) {
      stream.listener.onData(new Uint8Array(source.buffer, source.byteOffset + start, end - start), false)
    }
  }

  onFrame(type: number, flags: number, id: number, source: Uint8Array, start: number, end: number): void {
    if (this.assembly.id !== 0 && (type !== Frame.CONTINUATION || id !== this.assembly.id)) {
      throw protocolError("header block interrupted")
    }
    if (!this.hasSettings && type !== Frame.SETTINGS) throw protocolError("no SETTINGS frame first")
    switch (type) {
      case Frame.HEADERS:
        this.onHeaders(flags, id, source, start, end)
        return
      case Frame.CONTINUATION:
        if (this.assembly.id === 0) throw protocolError("CONTINUATION without HEADERS")
        this.assembly.append(source, start, end)
        if ((flags & Frame.END_HEADERS) !== 0) this.onAssembled()
        return
      case Frame.RST_STREAM:
        this.onReset(id, source, start, end)
        return
      case Frame.WINDOW_UPDATE:
        this.onWindowUpdate(id, source, start, end)
        return
    }
    // The rest says nothing about requests; only so many in a row are read.
    this.countIdle()
    switch (type) {
      case Frame.SETTINGS:
        this.onSettings(flags, id, source, start, end)
        return
      case Frame.PING:
        this.onPing(flags, id, source, start, end)
        return
      case Frame.GOAWAY:
        if (id !== 0) throw protocolError("GOAWAY on a stream")
        if (end - start < 8) throw sizeError("GOAWAY too short")
        this.owner.onGoAway(
          Frame.uint32(source, start) & Frame.MAX_31,
          Frame.uint32(source, start + 4),
          Buffer.from(source.buffer, source.byteOffset + start + 8, Math.min(end - start - 8, 256)).toString("latin1")
        )
        return
      case Frame.PRIORITY:
        this.onPriority(id, source, start, end)
        return
      case Frame.PUSH_PROMISE:
        throw protocolError(this.owner.isClient ? "push is disabled" : "PUSH_PROMISE from a client")
    }
  }

  /** A frame without content. Every 64 bytes that we have sent excuse one: a reader of large bodies sends many, one that opens its window by a byte is no reader. */
  private countIdle(): void {
    const { sender } = this.owner
    if (sender.progress >= 64) {
      this.idleFrames.forgive(sender.progress >>> 6)
      sender.progress = 0
    }
    this.idleFrames.add()
  }

  private acceptData(stream: Stream, length: number, payload: number): void {
    const { owner } = this
    stream.receiveWindow -= length
    if (stream.receiveWindow < 0) {
      owner.streamError(stream, ErrorCode.FLOW_CONTROL_ERROR)
      return
    }
    if (stream.expected >= 0) {
      stream.expected -= payload
      if (stream.expected < 0 || (this.dataEnds && stream.expected > 0)) {
        owner.streamError(stream, ErrorCode.PROTOCOL_ERROR)
        return
      }
    }
    if (payload > 0 || this.dataEnds) this.idleFrames.clear()
    else this.idleFrames.add()
    if (length > payload) owner.release(stream, length - payload)
    this.dataStream = stream
  }

  private onHeaders(flags: number, id: number, source: Uint8Array, from: number, to: number): void {
    if (id === 0) throw protocolError("HEADERS on stream 0")
    let start = from
    let end = to
    if ((flags & (Frame.PADDED | Frame.HAS_PRIORITY)) !== 0) {
      if ((flags & Frame.PADDED) !== 0) {
        if (start >= end) throw sizeError("padded HEADERS without a pad length")
        end -= source[start++]!
      }
      if ((flags & Frame.HAS_PRIORITY) !== 0) {
        if (to - start < 5) throw sizeError("HEADERS too short for its priority")
        if ((Frame.uint32(source, start) & Frame.MAX_31) === id) throw protocolError("a stream that depends on itself")
        start += 5
      }
      if (end < start) throw protocolError("padding longer than its frame")
    }
    const endStream = (flags & Frame.END_STREAM) !== 0
    if ((flags & Frame.END_HEADERS) === 0) {
      this.assembly.begin(id, endStream, source, start, end)
      return
    }
    if (end - start > this.owner.limits.maxHeaderListSize) throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "header block too large")
    this.onBlock(id, this.decoder.decode(source, start, end), endStream)
  }

  private onBlock(id: number, headers: Headers, endStream: boolean): void {
    if (this.owner.onHeaderBlock(id, headers, endStream)) this.idleFrames.clear()
    else this.countIdle()
  }

  private onAssembled(): void {
    const { assembly } = this
    const { id, endStream } = assembly
    const block = assembly.finish()
    this.onBlock(id, this.decoder.decode(block, 0, block.length), endStream)
  }

  private onReset(id: number, source: Uint8Array, start: number, end: number): void {
    if (id === 0) throw protocolError("RST_STREAM on stream 0")
    if (end - start !== 4) throw sizeError("RST_STREAM of a wrong size")
    const stream = this.owner.find(id)
    if (stream !== undefined) {
      this.owner.onPeerReset(stream, Frame.uint32(source, start))
      return
    }
    if (this.owner.isIdle(id)) throw protocolError("RST_STREAM on an idle stream")
    this.idleFrames.add()
  }

  private onWindowUpdate(id: number, source: Uint8Array, start: number, end: number): void {
    if (end - start !== 4) throw sizeError("WINDOW_UPDATE of a wrong size")
    this.countIdle()
    const increment = Frame.uint32(source, start) & Frame.MAX_31
    const stream = id === 0 ? undefined : this.owner.find(id)
    if (id !== 0 && stream === undefined) {
      if (this.owner.isIdle(id)) throw protocolError("WINDOW_UPDATE on an idle stream")
      return
    }
    if (increment > 0) this.owner.onWindow(stream, increment)
    else if (stream === undefined) throw protocolError("WINDOW_UPDATE by 0")
    else this.owner.streamError(stream, ErrorCode.PROTOCOL_ERROR)
  }

  private onSettings(flags: number, id: number, source: Uint8Array, start: number, end: number): void {
    if (id !== 0) throw protocolError("SETTINGS on a stream")
    if ((flags & Frame.ACK) !== 0) {
      if (end > start) throw sizeError("SETTINGS acknowledgement with a payload")
      if (!this.hasSettings) throw protocolError("no SETTINGS frame first")
      this.hasAcknowledgement = true
      this.owner.onSettingsAcknowledged()
      return
    }
    if ((end - start) % 6 !== 0) throw sizeError("SETTINGS of a wrong size")
    this.hasSettings = true
    const { output, peer } = this.owner
    const before = peer.initialWindowSize
    SettingsFrame.read(peer, this.owner.isClient, source, start, end)
    this.owner.onPeerSettings(peer.initialWindowSize - before)
    output.frame(0, Frame.SETTINGS, Frame.ACK, 0)
  }

  private onPing(flags: number, id: number, source: Uint8Array, start: number, end: number): void {
    if (id !== 0) throw protocolError("PING on a stream")
    if (end - start !== 8) throw sizeError("PING of a wrong size")
    if ((flags & Frame.ACK) !== 0) {
      if (Frame.uint32(source, start) === 0) this.owner.onPong(Frame.uint32(source, start + 4))
      return
    }
    this.owner.onPing()
    const { output } = this.owner
    output.frame(8, Frame.PING, Frame.ACK, 0)
    output.copy(source, start, end)
  }

  /** Priorities are ignored, RFC 9113 section 5.3.2, but must be well-formed. */
  private onPriority(id: number, source: Uint8Array, start: number, end: number): void {
    if (id === 0) throw protocolError("PRIORITY on stream 0")
    const stream = this.owner.find(id)
    const bad =
      end - start !== 5
        ? ErrorCode.FRAME_SIZE_ERROR
        : (Frame.uint32(source, start) & Frame.MAX_31) === id
          ? ErrorCode.PROTOCOL_ERROR
          : undefined
    if (bad === undefined) return
    if (stream === undefined) throw new ConnectionError(bad, "bad PRIORITY")
    this.owner.streamError(stream, bad)
  }
}
