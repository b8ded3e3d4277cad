/** A peer that writes frames of HTTP/2 by hand, and what it is told. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import { until } from "../Harness.ts"

export const DATA = 0
export const HEADERS = 1
export const PRIORITY = 2
export const RST_STREAM = 3
export const SETTINGS = 4
export const PING = 6
export const GOAWAY = 7
export const WINDOW_UPDATE = 8
export const CONTINUATION = 9
export const END_STREAM = 1
export const END_HEADERS = 4

export const frame = (type: number, flags: number, id: number, payload: Uint8Array | ReadonlyArray<number> = []): Buffer => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(id >>> 0, 5)
  return Buffer.concat([head, Uint8Array.from(payload)])
}

export const uint32 = (value: number): ReadonlyArray<number> => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]

/** Literals of HPACK, plain and never indexed. */
export const block = (fields: ReadonlyArray<readonly [string, string]>): Buffer =>
  Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.from([0, name.length]),
      Buffer.from(name, "latin1"),
      length(value.length),
      Buffer.from(value, "latin1")
    ])
  )

const length = (value: number): Buffer => {
  if (value < 127) return Buffer.from([value])
  const octets = [127]
  let rest = value - 127
  for (; rest >= 128; rest >>>= 7) octets.push((rest & 127) | 128)
  return Buffer.from([...octets, rest])
}

export const request = (path = "/test.v1.Echo/Unary", more: ReadonlyArray<readonly [string, string]> = []): Buffer =>
  block([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "a"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...more
  ])

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1")

export interface Told {
  readonly type: number
  readonly flags: number
  readonly id: number
  readonly payload: Buffer
}

/** Takes a duplex; `greeting` is what is sent first. */
export const over = (duplex: Duplex, greeting: Uint8Array = Buffer.concat([PREFACE, frame(SETTINGS, 0, 0), frame(SETTINGS, 1, 0)])) => {
  const told: Array<Told> = []
  let rest: Buffer = Buffer.alloc(0)
  let ended = false
  let goAway: number | undefined
  const counts = { bytes: 0, resets: 0 }
  duplex.on("data", (chunk: Buffer) => {
    counts.bytes += chunk.length
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= 9) {
      const end = 9 + rest.readUIntBE(0, 3)
      if (rest.length < end) break
      const one = { type: rest[3]!, flags: rest[4]!, id: rest.readUInt32BE(5) & 0x7fffffff, payload: Buffer.from(rest.subarray(9, end)) }
      if (one.type === RST_STREAM) counts.resets++
      if (one.type === GOAWAY) goAway = one.payload.readUInt32BE(4)
      // the last ones are enough
      told.push(one)
      if (told.length > 64) told.shift()
      rest = rest.subarray(end)
    }
  })
  duplex.on("error", () => {})
  duplex.once("close", () => (ended = true))
  duplex.once("end", () => (ended = true))
  duplex.write(greeting)
  return {
    duplex,
    told,
    counts,
    get ended() {
      return ended
    },
    /** The code of the last GOAWAY. */
    get goAway() {
      return goAway
    },
    write: (...parts: ReadonlyArray<Uint8Array>): void => {
      if (!ended && !duplex.destroyed) duplex.write(parts.length === 1 ? parts[0]! : Buffer.concat(parts))
    },
    /** The other side has ended. */
    closed: until(Effect.sync(() => ended))
  }
}

export type Http2Peer = ReturnType<typeof over>

interface Server {
  readonly connect: Effect.Effect<Duplex>
}

/** A connection that is gone before its server stops, so that the server does not wait for it. */
export const open = (server: Server): Effect.Effect<Duplex, never, Scope.Scope> =>
  Effect.acquireRelease(server.connect, (duplex) => Effect.sync(() => duplex.destroy()))

export const connect = (server: Server): Effect.Effect<Http2Peer, never, Scope.Scope> => Effect.map(open(server), (duplex) => over(duplex))
