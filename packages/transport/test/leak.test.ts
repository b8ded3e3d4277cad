/** Ten thousand calls of all kinds, one in ten of them cancelled at a random moment, leave nothing behind. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import * as Deadline from "@effect-kratos/core/Deadline"
import { EchoLive } from "./EchoLive.ts"
import { clientOf, memory, serve, settled, sockets, turn, until, type Wire } from "./Harness.ts"

const CALLS = 10_000
const AT_ONCE = 50

/** What Node keeps the process alive for, without what the test runner has. */
const resources = (): ReadonlyArray<string> =>
  process
    .getActiveResourcesInfo()
    .filter((name) => /TCP|Timeout|Immediate/.test(name))
    .sort()

const law = (wire: Wire, active: { readonly fibers: number }) =>
  Effect.gen(function* () {
    const before = resources()
    const fibersBefore = active.fibers
    const server = yield* serve({ wire, implementation: EchoLive })
    const duplexes: Array<Duplex> = []
    const client = yield* clientOf({
      address: server.address,
      network: {
        ...server.network,
        connect: (to) => Effect.tap(server.network.connect(to), (duplex) => Effect.sync(() => duplexes.push(duplex)))
      }
    })
    const { echo } = client
    const text = "x".repeat(100)
    const requests = Stream.make({ text }, { text, count: 2 }, { text })
    const endless = Stream.concat(requests, Stream.never)
    // those that are cancelled would not end by themselves
    const kinds: ReadonlyArray<readonly [whole: Effect.Effect<unknown, unknown>, endless: Effect.Effect<unknown, unknown>]> = [
      [echo.unary({ text }), echo.unary({ text, delayMs: 1_000_000_000 })],
      [Stream.runDrain(echo.serverStream({ text, count: 5 })), Stream.runDrain(echo.serverStream({ text, count: 2_000_000_000 }))],
      [echo.clientStream(requests), echo.clientStream(endless)],
      [Stream.runDrain(echo.bidi(requests)), Stream.runDrain(echo.bidi(endless))],
      [Effect.exit(echo.unary({ failReason: "TEAPOT" })), echo.unary({ delayMs: 1_000_000_000 })]
    ]
    let done = 0
    let cancelled = 0
    // each with a deadline of its own, a day or more away: a timer that is forgotten stays
    const one = (i: number) => Effect.provideService(attempt(i), Deadline.Current, 86_400_000 + i * 1000)
    const attempt = (i: number) =>
      Effect.gen(function* () {
        const [whole, open] = kinds[i % kinds.length]!
        if (yield* Random.nextBoolean) yield* Effect.yieldNow
        if (i % 10 !== Math.trunc(i / 10) % 10) {
          yield* whole
          return done++
        }
        const fiber = yield* Effect.forkChild(open, { startImmediately: yield* Random.nextBoolean })
        for (let turns = yield* Random.nextIntBetween(0, 4); turns > 0; turns--) yield* turn
        yield* Fiber.interrupt(fiber)
        return cancelled++
      })
    yield* echo.unary({})
    yield* Effect.repeat(turn, { times: 5 })
    const connected = active.fibers
    yield* Effect.forEach(
      Array.from({ length: CALLS }, (_, i) => i),
      one,
      { concurrency: AT_ONCE, discard: true }
    )
    assert.deepStrictEqual([done, cancelled], [(CALLS * 9) / 10, CALLS / 10])

    yield* settled(server.journal)
    assert.isAbove(yield* Ref.get(server.journal.interrupted), 0)
    assert.lengthOf(duplexes, 1)
    assert.isAbove(connected, fibersBefore) // those of the connections: the count counts
    yield* until(Effect.sync(() => active.fibers <= connected))

    // nothing of the calls is left on either side: both close at once, on a clock that stands still
    yield* client.close
    yield* server.close
    yield* until(Effect.sync(() => duplexes.every((duplex) => duplex.destroyed)))
    yield* until(Effect.sync(() => resources().length <= before.length))
    assert.strictEqual(active.fibers, fibersBefore)
  }).pipe(Random.withSeed("leak"))

for (const wire of [memory, sockets]) {
  it.effect(
    `over ${wire.name}`,
    () => {
      const active = { fibers: 0 }
      return Effect.provideService(law(wire, active), Metric.FiberRuntimeMetrics, {
        recordFiberStart: () => void active.fibers++,
        recordFiberEnd: () => void active.fibers--
      })
    },
    60_000 // a few seconds; machines under load take longer
  )
}
