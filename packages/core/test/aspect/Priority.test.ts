import * as CpuUsage from "@effect-kratos/aegis/CpuUsage"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Aspect from "../../src/Aspect.ts"
import * as MetadataPropagation from "../../src/aspect/MetadataPropagation.ts"
import * as Priority from "../../src/aspect/Priority.ts"
import * as RateLimit from "../../src/aspect/RateLimit.ts"
import * as KratosError from "../../src/error/KratosError.ts"
import * as Metadata from "../../src/Metadata.ts"
import * as CallFixture from "../CallFixture.ts"

const claiming = (priority?: string) =>
  CallFixture.make({ request: priority === undefined ? Metadata.make() : Metadata.fromRecord({ [Priority.key]: priority }) })

describe("Priority", () => {
  it.effect("goes from a call to the calls that its handler makes, lowered to what the caller may claim", () =>
    Effect.gen(function* () {
      const sent: Array<string | undefined> = []
      const clientCall = () => CallFixture.make({ side: "client", request: Metadata.make() })
      const outgoing = Aspect.compose(MetadataPropagation.client, Priority.client)
      const handler = Effect.suspend(() => {
        const call = clientCall()
        return CallFixture.run(call, outgoing(Effect.sync(() => void sent.push(call.request.get(Priority.key)?.[0]))))
      })
      const serve = (server: Aspect.Aspect, claim?: string) =>
        Effect.all([
          CallFixture.run(claiming(claim), Aspect.compose(MetadataPropagation.server, server)(handler)),
          CallFixture.runCompiled(claiming(claim), server, handler)
        ])
      yield* serve(Priority.server)
      yield* serve(Priority.server, "sheddable")
      yield* serve(Priority.server, "CRITICAL_PLUS")
      yield* serve(Priority.server, "nonsense")
      yield* serve(Priority.makeServer({ ceiling: () => "CRITICAL" }), "CRITICAL_PLUS")
      yield* serve(Priority.makeServer({ ceiling: () => "SHEDDABLE_PLUS" }))
      yield* Priority.with("SHEDDABLE_PLUS")(handler)
      assert.deepStrictEqual(sent, [
        undefined,
        undefined,
        "SHEDDABLE",
        "SHEDDABLE",
        "CRITICAL_PLUS",
        "CRITICAL_PLUS",
        // what nobody understands goes on as it is, by its prefix alone
        "nonsense",
        undefined,
        "CRITICAL",
        "CRITICAL",
        "SHEDDABLE_PLUS",
        "SHEDDABLE_PLUS",
        "SHEDDABLE_PLUS"
      ])
    })
  )

  it.effect("decides who is shed: the cheap sooner, by the processor and by what is in flight", () =>
    Effect.gen(function* () {
      let permille = 0
      // a window that the clock of this test does not leave
      const aspect = RateLimit.bbr({ priorities: true, window: "10 minutes", buckets: 6000 })
      const busy = Context.make(CpuUsage.CpuUsage, { permille: () => permille })
      const run = <A>(priority: string | undefined, handler: Effect.Effect<A>) =>
        Effect.exit(Effect.provideContext(CallFixture.run(claiming(priority), aspect(handler)), busy))
      // ten calls a bucket of 100 ms, of 100 ms each: ten fit at a time
      for (let i = 0; i < 3; i++) {
        const fibers = yield* Effect.forEach(Array.from({ length: 10 }), () =>
          Effect.forkChild(run(undefined, Effect.sleep("100 millis")), { startImmediately: true })
        )
        yield* TestClock.adjust("100 millis")
        yield* Fiber.awaitAll(fibers)
      }
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(aspect.snapshot(yield* Effect.clockWith((clock) => clock.currentTimeMillis))?.maxInFlight, 10)

      const admits = Effect.gen(function* () {
        const admitted: Array<string> = []
        for (const priority of Priority.all) if (Exit.isSuccess(yield* run(priority, Effect.void))) admitted.push(priority)
        yield* TestClock.adjust("2 seconds")
        return admitted
      })
      const seen: Record<string, ReadonlyArray<string>> = {}
      for (const inFlight of [4, 7, 9, 12, 14]) {
        const fibers = yield* Effect.forEach(Array.from({ length: inFlight }), () => {
          permille = 0
          return Effect.forkChild(run(undefined, Effect.never), { startImmediately: true })
        })
        for (const cpu of [500, 650, 750, 850, 950]) {
          permille = cpu
          seen[`${inFlight} in flight at ${cpu}`] = yield* admits
        }
        permille = 0
        yield* Fiber.interruptAll(fibers)
      }
      const [plus, critical, sheddablePlus, sheddable] = Priority.all
      const all = [plus, critical, sheddablePlus, sheddable]
      const expected: Record<string, ReadonlyArray<string | undefined>> = {}
      for (const [inFlight, shares] of [
        [4, all],
        [7, [plus, critical, sheddablePlus]],
        [9, [plus, critical]],
        [12, [plus]],
        [14, []]
      ] as const) {
        const below = { 500: all, 650: all.slice(0, 3), 750: all.slice(0, 2), 850: all.slice(0, 1), 950: [] as Array<string> }
        for (const [cpu, free] of Object.entries(below)) {
          expected[`${inFlight} in flight at ${cpu}`] = all.filter(
            (priority) => free.includes(priority!) || shares.includes(priority as never)
          )
        }
      }
      assert.deepStrictEqual(seen, expected)
    })
  )
})

describe("RateLimit.bbr", () => {
  it.effect("has a limiter for each program, whose processors are not the same", () =>
    Effect.gen(function* () {
      const run = <A>(permille: CpuUsage.Shape, handler: Effect.Effect<A>) =>
        Effect.exit(
          Effect.provideContext(CallFixture.run(claiming(), RateLimit.server(handler)), Context.make(CpuUsage.CpuUsage, permille))
        )
      const busy = { permille: () => 1000 }
      const idle = { permille: () => 0 }
      const held = yield* Effect.forEach([1, 2], () => Effect.forkChild(run(busy, Effect.never), { startImmediately: true }))
      assert.strictEqual(KratosError.statusFromExit(yield* run(busy, Effect.void)).code, 429)
      assert.isTrue(Exit.isSuccess(yield* run(idle, Effect.void)))
      assert.isTrue(Exit.isSuccess(yield* run({ permille: () => 1000 }, Effect.void)), "another program")
      yield* Fiber.interruptAll(held)
      assert.isTrue(Exit.isSuccess(yield* run(busy, Effect.void)))
    })
  )
})

describe("RateLimit.bbr by the delay of the event loop", () => {
  /** A loop that is late, in which ten calls of 10 ms have ended in 100 ms of work. */
  const late = Effect.fnUntraced(function* (options: RateLimit.BbrOptions) {
    let standing = 0
    let active = 0
    let turn = 0
    const loop = { delay: () => 5, standing: () => standing, active: () => active, turn: () => turn }
    const aspect = RateLimit.bbr(options)
    const usage = Context.make(CpuUsage.CpuUsage, { permille: () => 1000, loop })
    const run = (priority?: string) => Effect.exit(Effect.provideContext(CallFixture.run(claiming(priority), aspect(Effect.void)), usage))
    /** The next turn, 10 ms of work later, and its calls: who is admitted. */
    const next = Effect.fnUntraced(function* (...claims: ReadonlyArray<string>) {
      yield* TestClock.adjust("10 millis")
      active += 10
      turn += 10
      const admitted: Array<string> = []
      for (const claim of claims) {
        const exit = yield* run(claim)
        if (Exit.isSuccess(exit)) admitted.push(claim)
        else assert.strictEqual(KratosError.statusFromExit(exit).code, 429)
      }
      return admitted
    })
    for (let i = 0; i < 40; i++) assert.lengthOf(yield* next("CRITICAL"), 1)
    return { aspect, next, stand: (millis: number) => (standing = millis) }
  })

  it.effect("admits at the rate at which calls leave while a delay stands, whatever the processor does", () =>
    Effect.gen(function* () {
      const { aspect, next, stand } = yield* late({})
      // busy, but on time
      assert.lengthOf(yield* next("a", "b", "c", "d"), 4)
      for (let i = 0; i < 40; i++) yield* next("CRITICAL")
      stand(50)
      for (let i = 0; i < 3; i++) yield* next("CRITICAL")
      const { loop } = aspect.snapshot(0)!
      assert.isTrue(loop!.limiting)
      assert.closeTo(loop!.rate, 100, 10)
      // the tokens of a turn are for all of its calls
      assert.isAtMost((yield* next(...Array.from({ length: 40 }, () => "CRITICAL"))).length, 2)
      stand(0)
      for (let i = 0; i < 250; i++) yield* next()
      assert.lengthOf(yield* next("a", "b", "c", "d"), 4)
    })
  )

  it.effect("sheds the cheap first", () =>
    Effect.gen(function* () {
      const { next, stand } = yield* late({ priorities: true })
      stand(50)
      const admitted: Array<string> = []
      // each class comes at what the loop can do
      for (let i = 0; i < 100; i++) admitted.push(...(yield* next("SHEDDABLE", "SHEDDABLE_PLUS", "CRITICAL", "CRITICAL_PLUS")))
      const countOf = (claim: string) => admitted.slice(20).filter((one) => one === claim).length
      assert.isAtLeast(countOf("CRITICAL_PLUS"), 80)
      for (const claim of ["SHEDDABLE", "SHEDDABLE_PLUS"]) assert.isAtMost(countOf(claim), 5)
    })
  )

  it.effect("looks at the processor when told so", () =>
    Effect.gen(function* () {
      const { aspect, stand } = yield* late({ signal: "cpu" })
      stand(50)
      assert.isUndefined(aspect.snapshot(0)!.loop)
    })
  )
})

describe("RateLimit.tokens", () => {
  const run = (aspect: Aspect.Aspect<KratosError.KratosError>, fields: Parameters<typeof CallFixture.make>[0]) => {
    const call = CallFixture.make({ request: Metadata.make(), trailers: Metadata.make(), reply: Metadata.make(), ...fields })
    return Effect.map(Effect.exit(CallFixture.run(call, aspect(Effect.void))), (exit) => ({ exit, call }))
  }

  it.effect("gives each key its rate, says when to come again, and keeps no more keys than it may", () =>
    Effect.gen(function* () {
      let rejected = 0
      const aspect = RateLimit.tokens({ rate: 2, burst: 1, key: RateLimit.byPeer, onRejected: () => rejected++ })
      assert.isTrue(Exit.isSuccess((yield* run(aspect, { peer: "10.0.0.1:1" })).exit))
      const { call, exit } = yield* run(aspect, { peer: "10.0.0.1:2" })
      const { code, reason } = KratosError.statusFromExit(exit)
      assert.deepStrictEqual([code, reason, rejected], [429, "RATELIMIT", 1])
      assert.deepStrictEqual(call.trailers.get("grpc-retry-pushback-ms"), ["500"])
      const rest = yield* run(aspect, { peer: "10.0.0.1:3", transport: "http" })
      assert.deepStrictEqual(rest.call.reply.get("retry-after"), ["1"])
      assert.isTrue(Exit.isSuccess((yield* run(aspect, { peer: "10.0.0.2:1" })).exit), "another caller")
      yield* TestClock.adjust("500 millis")
      assert.isTrue(Exit.isSuccess((yield* run(aspect, { peer: "10.0.0.1:4" })).exit))
    })
  )

  it.effect("lets a call that costs more than there can ever be hear of no time to come again", () =>
    Effect.gen(function* () {
      const aspect = RateLimit.tokens({ rate: 1, burst: 2, cost: ({ method }) => (method === "Dear" ? 3 : 1) })
      const { call, exit } = yield* run(aspect, { method: "Dear" })
      assert.strictEqual(KratosError.statusFromExit(exit).code, 429)
      assert.isFalse(call.trailers.has("grpc-retry-pushback-ms"))
      assert.isTrue(Exit.isSuccess((yield* run(aspect, {})).exit))
    })
  )
})
