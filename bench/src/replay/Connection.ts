/** One connection of the load generator: sends recorded calls, counts answers, keeps to flow control and to the server's limits. */
import * as net from "node:net"
import { type Block, fill, number } from "./Blocks.ts"

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1")
const DATA = 0
const HEADERS = 1
const RST_STREAM = 3
const SETTINGS = 4
const PING = 6
const GOAWAY = 7
const WINDOW_UPDATE = 8
const END_STREAM = 1
const ACK = 1
const MAX_CONCURRENT_STREAMS = 3
const MAX_31 = 0x7f_ff_ff_ff

export interface Options {
  readonly port: number
  readonly blocks: ReadonlyArray<Block>
  readonly body: Uint8Array
  /** Calls in flight, at most. */
  readonly streams: number
  /** The number of the next call of the whole run, which its headers are made from. */
  readonly nextCall: () => number
  /** Bytes have come and will be read now. */
  readonly onReading: () => void
  /** A stream has ended; `index` counts the streams of this connection. */
  readonly onAnswer: (connection: Connection, index: number) => void
  /** A read is done with: the time to send again. */
  readonly onRead: (connection: Connection) => void
  readonly onFailure: (why: string) => void
}

const frame = (type: number, flags: number, stream: number, payload: Uint8Array): Buffer => {
  const bytes = Buffer.alloc(9 + payload.length)
  writeHead(bytes, 0, payload.length, type, flags, stream)
  bytes.set(payload, 9)
  return bytes
}

const writeHead = (target: Buffer, at: number, length: number, type: number, flags: number, stream: number): void => {
  target[at] = length >>> 16
  target[at + 1] = (length >>> 8) & 255
  target[at + 2] = length & 255
  target[at + 3] = type
  target[at + 4] = flags
  target[at + 5] = stream >>> 24
  target[at + 6] = (stream >>> 16) & 255
  target[at + 7] = (stream >>> 8) & 255
  target[at + 8] = stream & 255
}

export class Connection {
  /** Bytes of DATA that came. */
  bytes = 0
  /** Streams that were opened, and those of them that have ended. */
  opened = 0
  answered = 0
  private readonly options: Options
  private readonly socket: net.Socket
  private limit: number
  private window = 65_535
  private closed = false
  // what is left of the frame being read: its head while `headLength` is below 9, then `rest` bytes of payload
  private readonly head = Buffer.alloc(9)
  private headLength = 0
  private rest = 0
  private payload: Buffer = Buffer.alloc(0)

  constructor(options: Options) {
    this.options = options
    this.limit = options.streams
    const failed = (why: string) => {
      if (!this.closed) options.onFailure(why)
    }
    this.socket = net.connect({
      port: options.port,
      host: "127.0.0.1",
      noDelay: true,
      onread: {
        buffer: Buffer.alloc(65_536),
        callback: (length, buffer) => {
          options.onReading()
          this.read(buffer as Buffer, length) // the one given above
          options.onRead(this)
          return true
        }
      }
    })
    this.socket.on("error", (error) => failed(error.message))
    this.socket.on("close", () => failed("the server has closed the connection"))
    const increment = Buffer.alloc(4)
    increment.writeUInt32BE(MAX_31 - 65_535)
    this.socket.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, Buffer.alloc(0)), frame(WINDOW_UPDATE, 0, 0, increment)]))
  }

  /** How many calls may be sent now. */
  get free(): number {
    return Math.min(this.limit - (this.opened - this.answered), Math.floor(this.window / this.options.body.length))
  }

  /** Sends `count` calls in one write. */
  send(count: number): void {
    if (count <= 0) return
    const { blocks, body } = this.options
    let length = 0
    for (let i = 0; i < count; i++) length += 18 + blocks[(this.opened + i) % blocks.length]!.bytes.length + body.length
    const target = Buffer.allocUnsafe(length)
    let at = 0
    for (let i = 0; i < count; i++) {
      const block = blocks[this.opened % blocks.length]!
      const stream = 2 * this.opened + 1
      const size = block.bytes.length
      writeHead(target, at, size, HEADERS, 4, stream) // END_HEADERS
      target.set(block.bytes, at + 9)
      if (block.holes.length > 0) {
        const call = this.options.nextCall()
        for (let h = 0; h < block.holes.length; h++) fill(target, at + 9 + block.holes[h]!, number(call, h))
      }
      at += 9 + size
      writeHead(target, at, body.length, DATA, END_STREAM, stream)
      target.set(body, at + 9)
      at += 9 + body.length
      this.opened++
    }
    this.window -= count * body.length
    this.socket.write(target)
  }

  close(): void {
    this.closed = true
    this.socket.destroy()
  }

  private read(buffer: Buffer, length: number): void {
    let at = 0
    while (at < length) {
      if (this.headLength < 9) {
        this.head[this.headLength++] = buffer[at++]!
        if (this.headLength < 9) continue
        const { head } = this
        this.rest = (head[0]! << 16) | (head[1]! << 8) | head[2]!
        if (head[3]! > HEADERS) this.payload = Buffer.alloc(0)
      }
      const take = Math.min(this.rest, length - at)
      if (this.head[3]! > HEADERS && take > 0) this.payload = Buffer.concat([this.payload, buffer.subarray(at, at + take)])
      at += take
      this.rest -= take
      if (this.rest === 0) {
        this.headLength = 0
        this.onFrame()
      }
    }
  }

  private onFrame(): void {
    const { head, options, payload } = this
    const type = head[3]!
    const flags = head[4]!
    if (type === DATA) this.bytes += (head[0]! << 16) | (head[1]! << 8) | head[2]!
    if (type <= HEADERS) {
      if ((flags & END_STREAM) === 0) return
      this.answered++
      options.onAnswer(this, (head.readUInt32BE(5) - 1) / 2)
    } else if (type === SETTINGS && (flags & ACK) === 0) {
      for (let i = 0; i + 6 <= payload.length; i += 6) {
        if (payload.readUInt16BE(i) === MAX_CONCURRENT_STREAMS) this.limit = Math.min(options.streams, payload.readUInt32BE(i + 2))
      }
      this.socket.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)))
    } else if (type === PING && (flags & ACK) === 0) {
      this.socket.write(frame(PING, ACK, 0, payload))
    } else if (type === WINDOW_UPDATE && head.readUInt32BE(5) === 0) {
      this.window += payload.readUInt32BE(0) & MAX_31
    } else if (type === RST_STREAM || type === GOAWAY) {
      options.onFailure(`the server sent a frame of type ${type}, code ${payload.readUInt32BE(type === GOAWAY ? 4 : 0)}`)
    }
  }
}
