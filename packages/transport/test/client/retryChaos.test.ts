/**
 * Calls with retries to servers that fail before and after they act, refuse, go away, and lose connections in the middle: what may not be executed twice is not,
 * what may be succeeds, and nothing is left behind.
 */
import * as Hedge from "@effect-kratos/core/aspect/Hedge"
import * as Retry from "@effect-kratos/core/aspect/Retry"
import * as RetryLimit from "@effect-kratos/core/aspect/RetryLimit"
import type { Aspect } from "@effect-kratos/core/Aspect"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Channels from "../../src/Channels.ts"
import * as Network from "../../src/Network.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import { turn, until } from "../Harness.ts"
import { CountingServer } from "./CountingServer.ts"
import * as Link from "./Link.ts"
import { watched } from "./Rig.ts"

/** More of both: `RETRY_CALLS=2000 RETRY_SEEDS=100`. */
const CALLS = Number(process.env["RETRY_CALLS"] ?? 400)
const SEEDS = Number(process.env["RETRY_SEEDS"] ?? 2)

const law = (aspect: (idempotent: boolean) => Aspect, active: { fibers: number }) =>
  Effect.gen(function* () {
    const before = active.fibers
    const { nextDoubleUnsafe: random } = yield* Random.Random
    const servers = ["one", "two", "three"].map(
      () => new CountingServer({ random, turns: 6, refused: 0.05, fails: { before: 0.05, after: 0.05 } })
    )
    const { network, open } = yield* watched({
      ...Network.makeMemory(),
      connect: ({ host }) =>
        Effect.sync(() => {
          const [client, far] = Link.make({ random, turns: 3, cutAfter: random() < 0.5 ? Math.floor(random() * 8000) : undefined })
          servers[Number(host)]!.accept(far)
          return client
        })
    })
    const scope = yield* Scope.make()
    const client = (idempotent: boolean) => Echo.client("direct:///0:1,1:1,2:1", { waitForReady: true, aspects: aspect(idempotent) })
    const channels = yield* Layer.buildWithScope(
      Layer.fresh(Channels.layerDirect).pipe(Layer.provide(Layer.succeed(Network.Network, network))),
      scope
    )
    const [once, twice] = yield* Effect.all(
      [false, true].map((idempotent) =>
        Effect.map(
          Layer.buildWithScope(Layer.fresh(client(idempotent)).pipe(Layer.provide(Layer.succeedContext(channels))), scope),
          (context) => Context.get(context, Echo)
        )
      )
    )
    const disorder = yield* Effect.forkChild(
      Effect.forever(
        Effect.gen(function* () {
          for (let turns = yield* Random.nextIntBetween(4, 12); turns > 0; turns--) yield* turn
          if (random() < 0.3)
            for (const server of servers) for (const served of server.served) if (random() < 0.5) server.leaveSomehow(served)
          // waits between attempts pass
          yield* TestClock.adjust("100 millis")
        })
      )
    )
    const exits = yield* Effect.forEach(
      Array.from({ length: CALLS }, (_, i) => i),
      (i) => {
        const text = `call ${i};`
        const echo = i % 2 === 0 ? once! : twice!
        const call =
          i % 3 === 0 ? echo.clientStream(Stream.fromIterable(text).pipe(Stream.map((text) => ({ text })))) : echo.unary({ text })
        return Effect.exit(call)
      },
      { concurrency: 30 }
    )
    yield* Fiber.interrupt(disorder)

    const failed = [0, 0]
    let repeated = 0
    exits.forEach((exit, i) => {
      const text = `call ${i};`
      const executed = servers.reduce((sum, server) => sum + (server.executed.get(text) ?? 0), 0)
      if (i % 2 === 0) assert.isAtMost(executed, 1, text)
      else if (executed > 1) repeated++
      if (Exit.isFailure(exit)) failed[i % 2]!++
      else {
        assert.strictEqual(exit.value.text, text)
        assert.isAtLeast(executed, 1)
      }
    })
    // it was chaos, and the one sort has paid for it, the other not
    assert.isAbove(failed[0]!, CALLS / 50)
    assert.isBelow(failed[1]!, failed[0]! / 3)
    assert.isAbove(repeated, 0)

    yield* Scope.close(scope, Exit.void)
    yield* until(Effect.sync(() => open() === 0))
    yield* until(Effect.sync(() => active.fibers <= before))
  })

const limit = RetryLimit.make({ budget: false })
const aspects = {
  retries: (idempotent: boolean) => Retry.make({ limit, idempotent, maxAttempts: 5 }),
  hedges: (idempotent: boolean) => Hedge.make({ limit, idempotent, maxAttempts: 5, delay: "200 millis" })
}

describe("chaos", () => {
  for (const [name, aspect] of Object.entries(aspects)) {
    for (let seed = 0; seed < SEEDS; seed++) {
      it.effect(
        `with ${name} executes twice only what may be (seed ${seed})`,
        () => {
          const active = { fibers: 0 }
          return law(aspect, active).pipe(
            Random.withSeed(`${name} ${seed}`),
            Effect.provideService(Metric.FiberRuntimeMetrics, {
              recordFiberStart: () => void active.fibers++,
              recordFiberEnd: () => void active.fibers--
            })
          )
        },
        60_000 // a second or two; machines under load take longer
      )
    }
  }
})
