/** A server that writes down how often it has acted on each call (by the texts of its requests, which it answers with), and goes away when it is told to, in any of the ways there are. */
import { ErrorCode } from "@effect-kratos/http2/ErrorCode"
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import * as ServerConnection from "@effect-kratos/http2/ServerConnection"
import type { Stream as H2Stream, StreamListener } from "@effect-kratos/http2/Stream"
import { fromBinary } from "@bufbuild/protobuf"
import type { Duplex } from "node:stream"
import { EchoRequestSchema } from "../gen/test/v1/echo_pb.ts"
import { answer } from "./Rig.ts"

/** In [0, 1). */
export type Chance = () => number

export interface Options {
  readonly random: Chance
  /** Turns of the loop that an answer takes at most. */
  readonly turns: number
  /** Share of streams that are refused. */
  readonly refused: number
  /** Shares of calls that fail with UNAVAILABLE before, and after, they have been acted on. */
  readonly fails?: { readonly before: number; readonly after: number } | undefined
}

interface Served {
  readonly connection: ServerConnection.ServerConnection
  /** Streams above it are not acted on, as its GOAWAY says. */
  last: number
  /** The last stream that it has acted on. */
  highest: number
  running: number
  leaving: boolean
}

/** What only the engine's own parts may do: a GOAWAY with any last stream. */
type Inner = { writeGoAway(lastId: number, code: number, debug?: string): void }

export class CountingServer {
  readonly executed = new Map<string, number>()
  readonly served = new Set<Served>()
  connections = 0
  /** Streams above the last one that it acts on. */
  ignored = 0
  private readonly options: Options

  constructor(options: Options) {
    this.options = options
  }

  readonly accept = (duplex: Duplex): void => {
    this.connections++
    const served: Served = {
      connection: ServerConnection.make(duplex, {
        onStream: (stream) => this.onStream(served, stream),
        onClose: () => this.served.delete(served)
      }),
      last: Number.POSITIVE_INFINITY,
      highest: 0,
      running: 0,
      leaving: false
    }
    this.served.add(served)
  }

  /** Two steps, RFC 9113 section 6.8. */
  leaveGracefully(served: Served): void {
    served.leaving = true
    served.connection.shutdown()
  }

  /** At once: what has arrived until now counts, or only some of it that has not been acted on. */
  leave(served: Served, last: number, code: number, debug: string): void {
    if (served.leaving) return
    served.leaving = true
    served.last = last
    const inner = served.connection as unknown as Inner
    inner.writeGoAway(last, code, debug)
    this.endIfIdle(served)
  }

  /** In a random way, with the last stream that it has acted on. */
  leaveSomehow(served: Served): void {
    const { highest } = served
    const roll = this.options.random()
    if (roll < 0.4) this.leaveGracefully(served)
    else if (roll < 0.8) this.leave(served, highest, ErrorCode.NO_ERROR, "")
    else this.leave(served, highest, ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings")
  }

  private onStream(served: Served, stream: H2Stream): StreamListener {
    const { fails, random, refused, turns } = this.options
    if (stream.id > served.last) {
      this.ignored++
      return silent
    }
    if (random() < refused) {
      stream.reset(ErrorCode.REFUSED_STREAM)
      return silent
    }
    served.highest = stream.id
    const chunks: Array<Buffer> = []
    let open = true
    served.running++
    const done = () => {
      if (!open) return
      open = false
      served.running--
      this.endIfIdle(served)
    }
    return {
      onData: (data, end) => {
        stream.consumed(data.length)
        chunks.push(Buffer.from(data))
        if (!end) return
        if (fails !== undefined && random() < fails.before) {
          stream.headers(failed, true)
          return done()
        }
        const text = texts(Buffer.concat(chunks)).join("")
        this.executed.set(text, (this.executed.get(text) ?? 0) + 1)
        let left = Math.floor(random() * turns)
        const wait = (): void => {
          if (left-- > 0) return void setImmediate(wait)
          if (fails !== undefined && random() < fails.after) stream.headers(failed, true)
          else answer(stream, text)
          done()
        }
        wait()
      },
      onTrailers: done,
      onAbort: done
    }
  }

  private endIfIdle(served: Served): void {
    if (!served.leaving || served.running > 0 || served.last === Number.POSITIVE_INFINITY) return
    // the answers leave with this task
    setImmediate(() => served.connection.duplex.end())
  }
}

const failed = HeaderBlock.make([
  [":status", "200"],
  ["content-type", "application/grpc"],
  ["grpc-status", "14"]
])

/** The texts of messages with gRPC's prefix. */
const texts = (body: Buffer): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (let at = 0; at < body.length;) {
    const end = at + 5 + body.readUInt32BE(at + 1)
    found.push(fromBinary(EchoRequestSchema, body.subarray(at + 5, end)).text)
    at = end
  }
  return found
}

const silent: StreamListener = { onData: () => {}, onTrailers: () => {}, onAbort: () => {} }
