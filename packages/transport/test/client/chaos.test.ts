/**
 * Two thousand calls over lines that are cut in the middle of a byte stream, to servers that refuse, go away, are slow to accept or cannot be reached: a
 * call succeeds, or it fails as one that the server may have acted on. None hangs, none is acted on twice, nothing is left.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Channels from "../../src/Channels.ts"
import * as Network from "../../src/Network.ts"
import * as NetworkError from "../../src/NetworkError.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import { turn, until } from "../Harness.ts"
import { CountingServer } from "./CountingServer.ts"
import * as Link from "./Link.ts"
import { watched } from "./Rig.ts"

/** More seeds: `CHAOS_SEEDS=300`. */
const CALLS = Number(process.env["CHAOS_CALLS"] ?? 2000)
const SEEDS = Number(process.env["CHAOS_SEEDS"] ?? 1)
const AT_ONCE = 40

const law = (active: { fibers: number }) =>
  Effect.gen(function* () {
    const fibersBefore = active.fibers
    const { nextDoubleUnsafe: random } = yield* Random.Random
    const servers = ["one", "two", "three"].map(() => new CountingServer({ random, turns: 6, refused: 0.05 }))
    /** Calls of which something has left. */
    const sent = new Set<string>()
    const onSent = (chunk: Buffer): void => {
      for (const [text] of chunk.toString("latin1").matchAll(/call \d+;/g)) sent.add(text)
    }
    const refused = NetworkError.connect({ host: "x", port: 1 }, "x:1", Object.assign(new Error("down"), { code: "ECONNREFUSED" }))
    const memory = Network.makeMemory()
    const { network, open } = yield* watched({
      ...memory,
      connect: ({ host }) =>
        Effect.suspend(() => {
          if (random() < 0.1) return Effect.fail(refused)
          const cutAfter = random() < 0.6 ? Math.floor(random() * 8000) : undefined
          const [client, far] = Link.make({ random, turns: 3, cutAfter, onSent })
          const server = servers[Number(host)]!
          // slow to accept; never, now and then
          const slow = random()
          if (slow < 0.95) {
            let turns = Math.floor(slow * 10)
            const accept = (): void => (turns-- > 0 ? void setImmediate(accept) : server.accept(far))
            accept()
          } else far.on("error", () => {})
          return Effect.succeed(client)
        })
    })
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(
      Layer.fresh(Echo.client("direct:///0:1,1:1,2:1", { waitForReady: true })).pipe(
        Layer.provide(Layer.fresh(Channels.layerDirect)),
        Layer.provide(Channels.options({ maxConnections: 2 })),
        Layer.provide(Layer.succeed(Network.Network, network))
      ),
      scope
    )
    const echo = Context.get(context, Echo)
    const disorder = yield* Effect.forkChild(
      Effect.forever(
        Effect.gen(function* () {
          for (let turns = yield* Random.nextIntBetween(10, 60); turns > 0; turns--) yield* turn
          for (const server of servers) for (const served of server.served) if (random() < 0.5) server.leaveSomehow(served)
          // back-offs and timeouts of attempts pass
          yield* TestClock.adjust("1 second")
        })
      )
    )
    const texts = Array.from({ length: CALLS }, (_, i) => `call ${i};`)
    const exits = yield* Effect.forEach(
      texts,
      (text) =>
        Effect.gen(function* () {
          for (let turns = yield* Random.nextIntBetween(0, 4); turns > 0; turns--) yield* turn
          return yield* Effect.exit(echo.unary({ text }))
        }),
      { concurrency: AT_ONCE }
    )
    yield* Fiber.interrupt(disorder)

    let failed = 0
    exits.forEach((exit, i) => {
      const text = texts[i]!
      const executed = servers.reduce((sum, server) => sum + (server.executed.get(text) ?? 0), 0)
      assert.isAtMost(executed, 1, text)
      if (Exit.isSuccess(exit)) {
        assert.deepStrictEqual([exit.value.text, executed], [text, 1])
        return
      }
      failed++
      const failure = KratosError.fromCause(exit.cause)
      assert.deepStrictEqual([failure.code, failure.grpc], [503, Grpc.UNAVAILABLE], `${text}: ${failure.message}`)
      assert.isTrue(sent.has(text), `${text} never left: ${failure.message}`)
    })
    // it was chaos, and not for nothing
    const connections = servers.reduce((sum, server) => sum + server.connections, 0)
    const ignored = servers.reduce((sum, server) => sum + server.ignored, 0)
    assert.isAbove(connections, CALLS / 100)
    assert.isAbove(ignored, 0)
    assert.isAbove(failed, 0)
    assert.isBelow(failed, CALLS / 2)

    yield* Scope.close(scope, Exit.void)
    yield* until(Effect.sync(() => open() === 0))
    yield* until(Effect.sync(() => active.fibers <= fibersBefore))
  })

describe("chaos", () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    it.effect(
      `costs only what a server may have acted on (seed ${seed})`,
      () => {
        const active = { fibers: 0 }
        return law(active).pipe(
          Random.withSeed(`chaos ${seed}`),
          Effect.provideService(Metric.FiberRuntimeMetrics, {
            recordFiberStart: () => void active.fibers++,
            recordFiberEnd: () => void active.fibers--
          })
        )
      },
      60_000 // a second or two; machines under load take longer
    )
  }
})
