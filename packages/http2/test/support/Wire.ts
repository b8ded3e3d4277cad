import { EventEmitter } from "node:events"
import type { Duplex } from "node:stream"
import { ClientConnection, type ClientOptions } from "../../src/ClientConnection.ts"
import type { Connection } from "../../src/Connection.ts"
import { HpackDecoder } from "../../src/internal/HpackDecoder.ts"
import { ServerConnection, type ServerOptions } from "../../src/ServerConnection.ts"
import type { Headers } from "../../src/Headers.ts"
import type { Stream, StreamListener } from "../../src/Stream.ts"
import * as Frames from "./Frames.ts"

/** As much of a duplex as the engine uses, without a tick of its own: what is written is there at once. */
class FakeDuplex extends EventEmitter {
  readonly written: Array<Uint8Array> = []
  writes = 0
  /** The answer of `write`. */
  open = true
  ended = false
  destroyed = false
  corked = false
  writableLength = 0

  write(chunk: Uint8Array): boolean {
    this.written.push(Uint8Array.prototype.slice.call(chunk))
    if (!this.corked) this.writes++
    return this.open
  }
  cork(): void {
    this.corked = true
  }
  uncork(): void {
    this.corked = false
    this.writes++
  }
  end(callback?: () => void): void {
    this.ended = true
    callback?.()
  }
  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.emit("close")
  }
}

/** The peer of a connection under test: sends bytes, reads frames back, and runs the scheduled tasks itself, so that a test has no timing. */
export class Wire<C extends Connection> {
  readonly duplex = new FakeDuplex()
  readonly decoder = new HpackDecoder(4096, 1 << 20)
  readonly connection: C
  readonly closes: Array<Error | undefined> = []
  /** Milliseconds of the clock that limits and timeouts see. */
  time = 0
  private readonly tasks: Array<() => void> = []
  private readonly timers = new Set<{ readonly at: number; readonly task: () => void }>()

  private constructor(make: (duplex: Duplex, hooks: Required<Pick<ServerOptions, "schedule" | "now" | "after" | "onClose">>) => C) {
    // The fake has what the engine touches; implementing all of Duplex would test nothing more.
    this.connection = make(this.duplex as unknown as Duplex, {
      schedule: (task) => void this.tasks.push(task),
      now: () => this.time,
      after: (milliseconds, task) => {
        const timer = { at: this.time + milliseconds, task }
        this.timers.add(timer)
        return () => void this.timers.delete(timer)
      },
      onClose: (error) => void this.closes.push(error)
    })
  }

  static server(options: Partial<ServerOptions> = {}): Wire<ServerConnection> & { readonly exchanges: Array<Exchange> } {
    const exchanges: Array<Exchange> = []
    const wire = new Wire((duplex, hooks) =>
      ServerConnection.make(duplex, {
        onStream: (stream, headers, endStream) => {
          const exchange = new Exchange(stream)
          exchange.events.push(`headers ${headers.method} ${headers.path}${endStream ? " end" : ""}`)
          exchange.headers.push(headers)
          exchanges.push(exchange)
          return exchange
        },
        ...hooks,
        ...options
      })
    )
    return Object.assign(wire, { exchanges })
  }

  static client(options: ClientOptions = {}): Wire<ClientConnection> {
    return new Wire((duplex, hooks) => ClientConnection.make(duplex, { ...hooks, ...options }))
  }

  /** Delivers bytes in one chunk and runs what is due. */
  send(...parts: ReadonlyArray<Uint8Array>): void {
    this.duplex.emit("data", Buffer.concat(parts))
    this.run()
  }

  /** Preface and settings of a client; acknowledges ours. Returns what the server said first. */
  open(...settings: ReadonlyArray<readonly [id: number, value: number]>): Array<Frames.Frame> {
    this.run()
    const first = this.frames()
    this.send(Frames.PREFACE, Frames.settings(...settings), Frames.SETTINGS_ACK)
    this.frames()
    return first
  }

  /** The same for a server as the peer of a client. */
  openServer(...settings: ReadonlyArray<readonly [id: number, value: number]>): void {
    this.run()
    this.send(Frames.settings(...settings), Frames.SETTINGS_ACK)
    this.bytes()
  }

  run(): void {
    for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task()
  }

  /** Timers that are set. */
  get pending(): number {
    return this.timers.size
  }

  /** Lets time pass; what is due runs on its way. */
  elapse(milliseconds: number): void {
    const end = this.time + milliseconds
    for (;;) {
      this.run()
      const due = [...this.timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.timers.delete(due)
      this.time = Math.max(this.time, due.at)
      due.task()
    }
    this.time = end
  }

  drain(): void {
    this.duplex.open = true
    this.duplex.emit("drain")
    this.run()
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.duplex.written.splice(0))
  }

  /** The frames written since the last call. */
  frames(): Array<Frames.Frame> {
    this.run()
    return Frames.parse(this.bytes())
  }

  decode(frame: Frames.Frame | undefined): Headers {
    if (frame === undefined) throw new Error("no frame")
    return this.decoder.decode(frame.payload, 0, frame.payload.length)
  }
}

/** A listener that writes down what it hears. */
export class Exchange implements StreamListener {
  readonly events: Array<string> = []
  readonly headers: Array<Headers> = []
  readonly stream: Stream | undefined
  received = 0
  drains = 0
  /** Acknowledge data at once. */
  consume = true

  constructor(stream?: Stream) {
    this.stream = stream
  }
  onHeaders(headers: Headers, endStream: boolean): void {
    this.headers.push(headers)
    this.events.push(`head ${headers.status}${endStream ? " end" : ""}`)
  }
  onInformational(headers: Headers): void {
    this.events.push(`informational ${headers.status}`)
  }
  onData(data: Uint8Array, endStream: boolean): void {
    this.received += data.length
    this.events.push(`data ${Buffer.from(data.subarray(0, 32)).toString("latin1")}${endStream ? " end" : ""}`)
    if (this.consume) this.stream?.consumed(data.length)
  }
  onTrailers(trailers: Headers): void {
    this.headers.push(trailers)
    this.events.push(`trailers ${trailers.fields.join(" ")}`)
  }
  onAbort(code: number, processed: boolean): void {
    this.events.push(`abort ${code} ${processed}`)
  }
  onDrain(): void {
    this.drains++
  }
}
