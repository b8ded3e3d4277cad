import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "../src/ErrorCode.ts"
import { HeaderBlock } from "../src/HeaderBlock.ts"
import * as F from "./support/Frames.ts"
import * as Seeded from "./support/Seeded.ts"
import { Exchange, Wire } from "./support/Wire.ts"

const head = HeaderBlock.make([[":status", "200"]])
const trailers = HeaderBlock.make([["x", "y"]])
const internal = (said: ReadonlyArray<string>): boolean =>
  said.some((line) => line.startsWith("GOAWAY") && line.endsWith(` ${ErrorCode.INTERNAL_ERROR}`))

/** Frames that are mostly plausible, some of them damaged. */
const input = (random: ReturnType<typeof Seeded.make>, response: boolean): Uint8Array => {
  const id = random.below(6) * 2 + random.pick([1, 1, 1, 1, 0])
  const flags = random.pick([0, F.END, F.END])
  const frame = random.pick([
    () => F.headers(id, response ? [[":status", "200"]] : random.pick([F.GET, F.POST]), flags),
    () => F.headers(id, [["x-a", random.text(30, "abcé")]], F.END),
    () => F.frame(1, 0, id, F.rawBlock(F.GET).subarray(0, 5)),
    () => F.frame(9, random.pick([0, 4]), id, F.rawBlock(F.GET).subarray(5)),
    () => F.data(id, random.text(200, "abc"), flags),
    () => F.frame(0, 8 | flags, id, [random.below(6), 1, 2, 3, 4]),
    () => F.reset(id, 8),
    () => F.windowUpdate(random.pick([id, 0]), random.pick([1, 1000, 100_000])),
    () => F.settings([random.below(9), random.pick([0, 1, 16_384, 100_000])]),
    () => F.ping(),
    () => F.goAway(random.below(9), random.below(3)),
    () =>
      F.frame(
        random.below(12),
        random.below(256),
        id,
        new Uint8Array(random.below(20)).map(() => random.below(256))
      )
  ])()
  if (random.below(12) === 0) frame[random.below(frame.length)] = random.below(256)
  return frame
}

describe("whatever a peer sends", () => {
  for (const side of ["server", "client"] as const) {
    it(`a ${side} breaks off in order or goes on, and tells each owner of one abort at most`, () => {
      let survived = 0
      for (let seed = 1; seed <= 1500; seed++) {
        const random = Seeded.make(seed)
        const wire = side === "server" ? Wire.server() : Wire.client()
        const exchanges: Array<Exchange> = "exchanges" in wire ? wire.exchanges : []
        wire.run()
        wire.bytes()
        wire.send(...(side === "server" ? [F.PREFACE] : []), F.settings(), F.SETTINGS_ACK)
        for (let step = 0; step < 30 && !wire.connection.closed; step++) {
          if ("request" in wire.connection && random.below(3) === 0) {
            const exchange = new Exchange()
            const stream = wire.connection.request(
              HeaderBlock.make(F.POST),
              exchange,
              Buffer.alloc(random.below(90_000)),
              random.below(2) === 0
            )
            exchanges.push(stream === undefined ? exchange : Object.assign(exchange, { stream }))
          }
          const stream = exchanges.length > 0 ? random.pick(exchanges).stream : undefined
          const act = random.below(8)
          if (act === 0) stream?.respond(head, Buffer.alloc(random.below(100_000)), random.pick([undefined, trailers]))
          else if (act === 1) stream?.reset(ErrorCode.CANCEL)
          else if (act === 2) stream?.data(Buffer.alloc(random.below(50_000)), random.below(2) === 0)
          else if (act === 3) wire.duplex.open = random.below(2) === 0
          else if (act === 4) wire.drain()
          const chunk = Buffer.concat(Array.from({ length: 1 + random.below(3) }, () => input(random, side === "client")))
          const cut = random.below(chunk.length)
          wire.send(chunk.subarray(0, cut))
          wire.send(chunk.subarray(cut))
        }
        const said = F.show(wire.frames())
        assert.isFalse(internal(said), `seed ${seed}`)
        if (!wire.connection.closed) survived++
        else assert.strictEqual(wire.connection.openStreams, 0)
        wire.duplex.destroy()
        for (const { events } of exchanges) {
          assert.isAtMost(events.filter((event) => event.startsWith("abort")).length, 1, `seed ${seed}`)
          const end = events.findIndex((event) => event.endsWith(" end") || event.startsWith("trailers") || event.startsWith("abort"))
          if (end >= 0)
            assert.isTrue(
              events.slice(end + 1).every((event) => event.startsWith("abort")),
              `seed ${seed}: ${events.join()}`
            )
        }
        assert.strictEqual(wire.closes.length, 1)
      }
      assert.isAbove(survived, 0)
    })
  }
})
