import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "../src/ErrorCode.ts"
import * as F from "./support/Frames.ts"
import { Wire } from "./support/Wire.ts"

type Server = ReturnType<typeof Wire.server>

/**
 * A peer behind a pipe: in every round trip it sends as much as its windows allow, `capacity` bytes at most, and answers the pings of the trip before.
 * Returns the bytes of each trip.
 */
const upload = (wire: Server, id: number, trips: number, { capacity = Infinity, trip = 100 } = {}): Array<number> => {
  const windows = { connection: 1_048_576, stream: 262_144 }
  let pongs: Array<Uint8Array> = []
  const sent: Array<number> = []
  for (let i = 0; i < trips; i++) {
    const frames: Array<Uint8Array> = []
    let total = 0
    for (;;) {
      const length = Math.min(16_384, windows.connection, windows.stream, capacity - total)
      if (length <= 0) break
      frames.push(F.data(id, new Uint8Array(length)))
      windows.connection -= length
      windows.stream -= length
      total += length
    }
    wire.elapse(trip)
    wire.send(...frames, ...pongs)
    sent.push(total)
    pongs = []
    for (const frame of wire.frames()) {
      const payload = Buffer.from(frame.payload)
      if (frame.type === 8) windows[frame.id === 0 ? "connection" : "stream"] += payload.readUInt32BE(0)
      if (frame.type === 6 && frame.flags === 0) pongs.push(F.frame(6, 1, 0, frame.payload))
    }
  }
  return sent
}

const serve = (options: Parameters<typeof Wire.server>[0] = {}): Server => {
  const wire = Wire.server({ settingsTimeout: 0, ...options })
  wire.open()
  wire.send(F.headers(1, F.POST))
  return wire
}

describe("windows", () => {
  it("grow until the pipe is full, and no further", () => {
    const capacity = 1_000_000
    const wire = serve()
    const trips = upload(wire, 1, 60, { capacity })
    assert.isAtMost(trips[0]!, 262_144)
    // three doublings, since a window is opened by halves, of two trips and a start each
    assert.isAtMost(
      trips.findLastIndex((bytes) => bytes < capacity),
      12
    )
    assert.isAtMost(wire.connection.growth.target, 4 * capacity + 262_144)
  })

  it("grow to their limit only", () => {
    const wire = serve({ maxWindowSize: 1_000_000 })
    const trips = upload(wire, 1, 20)
    assert.isAtMost(Math.max(...trips), 1_000_000)
    assert.isAbove(Math.max(...trips), 600_000)
    assert.isFalse(wire.connection.closed)
  })

  it("stay as they are when they may not grow", () => {
    const trips = upload(serve({ maxWindowSize: 0 }), 1, 10)
    assert.isAtMost(Math.max(...trips), 262_144)
  })

  it("stay as they are when something else holds the peer back", () => {
    const wire = serve()
    upload(wire, 1, 50, { capacity: 50_000 })
    assert.strictEqual(wire.connection.growth.extra, 0)
  })

  it("stay as they are when nobody consumes", () => {
    const wire = serve()
    wire.exchanges[0]!.consume = false
    const trips = upload(wire, 1, 10)
    assert.strictEqual(
      trips.reduce((sum, bytes) => sum + bytes, 0),
      262_144
    )
    assert.strictEqual(wire.connection.growth.extra, 0)
  })
})

describe("what a connection holds", () => {
  it("is the windows of its streams and one growth, though all have been found too small", () => {
    const wire = serve({ maxConcurrentStreams: 10, initialWindowSize: 100_000, maxWindowSize: 1_000_000 })
    // every stream is read until its window could grow, then not any more
    const ids = Array.from({ length: 10 }, (_, i) => 1 + 2 * i)
    wire.send(...ids.slice(1).map((id) => F.headers(id, F.POST)))
    const windows = new Map(ids.map((id) => [id, 100_000]))
    let connection = 1_048_576
    let pongs: Array<Uint8Array> = []
    const send = (id: number): number => {
      let total = 0
      const frames: Array<Uint8Array> = []
      for (;;) {
        const length = Math.min(16_384, windows.get(id)!, connection)
        if (length <= 0) break
        frames.push(F.data(id, new Uint8Array(length)))
        windows.set(id, windows.get(id)! - length)
        connection -= length
        total += length
      }
      wire.elapse(100)
      wire.send(...frames, ...pongs)
      pongs = []
      for (const frame of wire.frames()) {
        if (frame.type === 8 && frame.id === 0) connection += Buffer.from(frame.payload).readUInt32BE(0)
        else if (frame.type === 8) windows.set(frame.id, windows.get(frame.id)! + Buffer.from(frame.payload).readUInt32BE(0))
        else if (frame.type === 6 && frame.flags === 0) pongs.push(F.frame(6, 1, 0, frame.payload))
      }
      return total
    }
    for (let round = 0; round < 10; round++) for (const id of ids) send(id)
    assert.isAbove(wire.connection.growth.extra, 0)
    for (const exchange of wire.exchanges) exchange.consume = false
    let held = 0
    for (let round = 0; round < 10; round++) for (const id of ids) held += send(id)
    assert.isAtMost(held, 10 * 100_000 + 1_000_000)
    assert.isAtLeast(held, 10 * 50_000)
    assert.isFalse(wire.connection.closed)
    // and what one had is there for the next one
    for (const { stream } of wire.exchanges) stream?.reset(ErrorCode.CANCEL)
    assert.strictEqual(wire.connection.growth["left"], 900_000)
  })

  it("of one stream does not stop the others", () => {
    const wire = serve({ connectionWindowSize: 65_535, initialWindowSize: 60_000, maxWindowSize: 0 })
    const ids = Array.from({ length: 50 }, (_, i) => 3 + 2 * i)
    wire.send(...ids.map((id) => F.headers(id, F.POST)))
    for (const exchange of wire.exchanges.slice(0, -1)) exchange.consume = false
    let connection = 65_535
    for (const id of [1, ...ids]) {
      for (let left = 60_000; left > 0;) {
        const length = Math.min(10_000, left, connection)
        assert.isAbove(length, 0, `stream ${id} waits for others`)
        wire.send(F.data(id, new Uint8Array(length)))
        left -= length
        connection -= length
        for (const frame of wire.frames()) {
          if (frame.type === 8 && frame.id === 0) connection += Buffer.from(frame.payload).readUInt32BE(0)
        }
      }
    }
    assert.strictEqual(wire.exchanges.at(-1)?.received, 60_000)
    assert.isAtMost(wire.connection.heldBytes, 50 * 60_000 + 65_536)
  })
})
