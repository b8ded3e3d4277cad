/** Which nodes calls go to: filters and their tiers, gates, what is up, what was taken out, what is new. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as TestClock from "effect/testing/TestClock"
import * as KratosError from "../../src/error/KratosError.ts"
import * as Balancer from "../../src/selector/Balancer.ts"
import * as ConcurrencyLimit from "../../src/selector/ConcurrencyLimit.ts"
import * as Filter from "../../src/selector/Filter.ts"
import type * as Gate from "../../src/selector/Gate.ts"
import * as Node from "../../src/selector/Node.ts"
import * as P2c from "../../src/selector/P2c.ts"
import * as Subset from "../../src/selector/Subset.ts"
import * as Fleet from "./Fleet.ts"

const node = (name: string, metadata: Record<string, string>, version = "1.0.0") => Node.make(name, { metadata, version })

describe("filters", () => {
  it.effect("a version alone is strict: without such a node the call fails with 503 NODE_NOT_FOUND", () =>
    Effect.gen(function* () {
      const nodes = [node("a", {}, "1.0.0"), node("b", {}, "2.0.0"), node("c", {}, "2.0.0")]
      const second = yield* Fleet.make(nodes, { filters: [Filter.version("2.0.0")] })
      assert.deepStrictEqual(second.spread(10), { b: 5, c: 5 })
      const third = yield* Fleet.make(nodes, { filters: [Filter.version("3.0.0")] })
      assert.isUndefined(third.pick())
      const { code, reason } = third.selector.refusal!
      assert.deepStrictEqual({ code, reason }, { code: 503, reason: "NODE_NOT_FOUND" })
    })
  )

  it.effect("the next tier takes the calls when no node of the one before it is listed or up", () =>
    Effect.gen(function* () {
      const nodes = [node("a", {}, "1.0.0"), node("b", {}, "2.0.0")]
      const { list, member, pick, selector } = yield* Fleet.make(nodes, { filters: [Filter.version("2.0.0", "1.0.0")] })
      assert.strictEqual(pick(), "b")
      selector.setHealth(member("b"), "down")
      assert.strictEqual(pick(), "a")
      selector.setHealth(member("b"), "up")
      assert.strictEqual(pick(), "b")
      list(nodes.slice(0, 1))
      assert.strictEqual(pick(), "a")
    })
  )

  it.effect("a node that is being connected to holds its tier", () =>
    Effect.gen(function* () {
      const nodes = [node("a", {}, "1.0.0"), node("b", {}, "2.0.0")]
      const { member, pick, selector } = yield* Fleet.make(nodes, { filters: [Filter.version("2.0.0", "1.0.0")] })
      selector.setHealth(member("b"), "pending")
      assert.isUndefined(pick())
      assert.isUndefined(selector.refusal)
      selector.setHealth(member("b"), "down")
      assert.strictEqual(pick(), "a")
    })
  )

  it.effect("a colour has its lane, else the uncoloured nodes; no other colour's", () =>
    Effect.gen(function* () {
      const { spread } = yield* Fleet.make([node("a", {}), node("b", {}), node("blue", { colour: "blue" })], { filters: [Filter.colour()] })
      assert.deepStrictEqual(spread(10), { a: 5, b: 5 })
      assert.deepStrictEqual(
        spread(10, () => Fleet.tagged("x-md-global-colour", "blue")),
        { blue: 10 }
      )
      assert.deepStrictEqual(
        spread(10, () => Fleet.tagged("x-md-global-colour", "red")),
        { a: 5, b: 5 }
      )
    })
  )

  it.effect("the own zone, then the near ones in order, then any", () =>
    Effect.gen(function* () {
      const nodes = ["z1", "z2", "z3", "z4"].map((zone) => node(zone, { zone }))
      const { member, pick, selector } = yield* Fleet.make(nodes, { filters: [Filter.zone({ zone: "z2", near: ["z3"] })] })
      const order: Array<string> = []
      for (let i = 0; i < 4; i++) {
        const name = pick()!
        order.push(name)
        selector.setHealth(member(name), "down")
      }
      assert.deepStrictEqual(order.slice(0, 2), ["z2", "z3"])
      assert.sameMembers(order, ["z1", "z2", "z3", "z4"])
    })
  )

  it.effect("filters look at what is left of each other; a function filters by anything of the call", () =>
    Effect.gen(function* () {
      const nodes = [node("a1", { zone: "a" }, "1"), node("a2", { zone: "a" }, "2"), node("b2", { zone: "b" }, "2")]
      const { spread } = yield* Fleet.make(nodes, { filters: [Filter.version("2"), Filter.zone({ zone: "a" })] })
      assert.deepStrictEqual(spread(4), { a2: 4 })
      const byCall = yield* Fleet.make(nodes, { filters: [Filter.where(({ address }, { method }) => address === method)] })
      assert.strictEqual(byCall.pick(Fleet.call({ method: "b2" })), "b2")
      assert.isUndefined(byCall.pick(Fleet.call({ method: "c" })))
    })
  )

  it.effect("the same list and text give the same array, and peers cannot make it remember more than so many", () =>
    Effect.gen(function* () {
      const filter = Filter.colour()
      const { member } = yield* Fleet.make([node("a", {}), node("b", { colour: "blue" })])
      const list = [member("a"), member("b")]
      const of = (text: string) => filter.tiers(list, Fleet.tagged("x-md-global-colour", text))
      const blue = of("blue")
      assert.strictEqual(of("blue"), blue)
      for (let i = 0; i < 100; i++) of(`colour-${i}`)
      assert.notStrictEqual(of("blue"), blue)
      assert.deepStrictEqual(of("blue"), blue)
    })
  )
})

describe("gates", () => {
  const recording = (allow: (name: string) => boolean, refusal?: Gate.Gate["refusal"]) => {
    const log: Array<string> = []
    const gate: Gate.Gate = {
      allow: ({ node }) => allow(node.address),
      started: ({ candidate }) => void log.push(`started ${candidate.node.address}`),
      done: ({ candidate, error, outcome }) =>
        void log.push(`${outcome} ${candidate.node.address}${error === undefined ? "" : ` ${error.code}`}`),
      refusal
    }
    return { gate: Effect.succeed(gate), log }
  }

  it.effect("a node that a gate refuses is passed over; each call that started is heard to end once, with its error", () =>
    Effect.gen(function* () {
      const { gate, log } = recording((name) => name !== "a")
      const { begin } = yield* Fleet.make(Fleet.named("a", "b"), { gates: [gate] })
      begin().reply(undefined)
      const failed = begin()
      failed.reply(KratosError.serviceUnavailable("", "no"))
      failed.end("cancelled")
      begin().reply(KratosError.notFound("", "no"))
      begin().end("cancelled")
      assert.deepStrictEqual(log, [
        "started b",
        "success b",
        "started b",
        "failure b 503",
        "started b",
        "success b 404",
        "started b",
        "cancelled b"
      ])
    })
  )

  it.effect("when all nodes are refused the call fails as the gate says, or waits", () =>
    Effect.gen(function* () {
      const open = recording(
        () => false,
        () => KratosError.serviceUnavailable("OPEN", "open")
      )
      const breaking = yield* Fleet.make(Fleet.named("a", "b"), { gates: [open.gate] })
      assert.isUndefined(breaking.pick())
      assert.strictEqual(breaking.selector.refusal?.reason, "OPEN")
      const waiting = yield* Fleet.make(Fleet.named("a", "b"), { gates: [recording(() => false).gate] })
      assert.isUndefined(waiting.pick())
      assert.isUndefined(waiting.selector.refusal)
    })
  )

  it.effect("a limit for each node: no more at a time, and whoever waits hears of the end of one", () =>
    Effect.gen(function* () {
      const { begin, changes, member, pick } = yield* Fleet.make(Fleet.named("a", "b"), { gates: [ConcurrencyLimit.make({ limit: 2 })] })
      const open = [begin(), begin(), begin(), begin()]
      assert.deepStrictEqual([member("a").inFlight, member("b").inFlight], [2, 2])
      assert.isUndefined(pick())
      const before = changes.count
      open[1]!.end("cancelled")
      assert.strictEqual(changes.count, before + 1)
      assert.strictEqual(pick(), open[1]!.candidate.node.address)
    })
  )
})

describe("what is up", () => {
  it.effect("full nodes are passed over; a call that is tried again goes to another node if it can", () =>
    Effect.gen(function* () {
      const { member, pick } = yield* Fleet.make(Fleet.named("a", "b"))
      assert.deepStrictEqual(
        [0, 1, 2, 3].map(() => pick(Fleet.call({ peer: "a" }))),
        ["b", "b", "b", "b"]
      )
      member("b").value.full = true
      assert.strictEqual(pick(), "a")
      assert.strictEqual(pick(Fleet.call({ peer: "a" })), "a")
      member("a").value.full = true
      assert.isUndefined(pick())
    })
  )

  it.effect("a balancer that throws costs its choice and no call", () =>
    Effect.gen(function* () {
      const broken = Balancer.make<void>({
        state: () => undefined,
        pick: () => {
          throw new Error("broken")
        }
      })
      const { pick } = yield* Fleet.make(Fleet.named("a", "b"), { balancer: Effect.succeed(broken) })
      assert.strictEqual(pick(), "a")
    })
  )

  it.effect("calls in flight add up to none when all have ended, in any order and however often they are ended", () =>
    Effect.gen(function* () {
      const names = ["a", "b", "c"]
      const { begin, member } = yield* Fleet.make(Fleet.named(...names), { balancer: P2c.make })
      const open: Array<ReturnType<typeof begin>> = []
      for (let i = 0; i < 2_000; i++) {
        if ((yield* Random.nextBoolean) || open.length === 0) open.push(begin())
        else {
          const [attempt] = open.splice(Math.floor((yield* Random.next) * open.length), 1)
          const outcome = (["success", "failure", "cancelled", "unprocessed"] as const)[i % 4]!
          attempt!.end(outcome)
          attempt!.end("cancelled")
        }
        const counted = names.reduce((sum, name) => sum + member(name).inFlight, 0)
        assert.strictEqual(counted, open.length)
      }
      for (const attempt of open) attempt.end("cancelled")
      assert.deepStrictEqual(
        names.map((name) => member(name).inFlight),
        [0, 0, 0]
      )
    }).pipe(Random.withSeed("leak"))
  )
})

describe("outlier ejection", () => {
  const refused = KratosError.serviceUnavailable("", "no")
  const bad = "10.0.0.0:9000"

  const fleet = Effect.gen(function* () {
    const made = yield* Fleet.make(Fleet.numbered(6))
    const broken = new Set([bad])
    /** Ten seconds of calls, then the look at them. What the bad node got. */
    const interval = (calls = 600) =>
      Effect.gen(function* () {
        let count = 0
        for (let i = 0; i < calls; i++) {
          const attempt = made.begin()
          const { address } = attempt.candidate.node
          if (address === bad) count++
          attempt.reply(broken.has(address) ? refused : undefined)
        }
        yield* TestClock.adjust("10 seconds")
        return count
      })
    return { ...made, broken, interval }
  })

  it.effect("a node of which all calls fail is taken out, put back after 30 s, and for longer each time", () =>
    Effect.gen(function* () {
      const { interval } = yield* fleet
      const runs: Array<number> = []
      for (let out = 0; runs.length < 4;) {
        if ((yield* interval()) === 0) out++
        else {
          runs.push(out)
          out = 0
        }
      }
      // the look at which the time is over: every ten seconds, and after it
      assert.deepStrictEqual(runs, [0, 4, 7, 10])
    })
  )

  it.effect("a node that behaves is forgiven: its time is short again", () =>
    Effect.gen(function* () {
      const { broken, interval, member } = yield* fleet
      yield* interval()
      assert.strictEqual(member(bad).record.multiplier, 1)
      broken.clear()
      for (let i = 0; i < 5; i++) yield* interval()
      assert.strictEqual(member(bad).record.multiplier, 0)
      assert.strictEqual(yield* interval(), 100)
    })
  )

  it.effect("never more than the share that may be, and never all", () =>
    Effect.gen(function* () {
      const { broken, interval, member } = yield* fleet
      const names = Fleet.numbered(6).map(({ address }) => address)
      for (const name of names) broken.add(name)
      for (let i = 0; i < 20; i++) {
        yield* interval()
        assert.isAtMost(names.filter((name) => member(name).record.isEjected).length, 1)
      }
      const all = yield* Fleet.make(Fleet.numbered(2), {
        outlierEjection: { maxEjectionPercent: 100, failurePercentage: { minimumHosts: 1, requestVolume: 1 } }
      })
      for (let i = 0; i < 4; i++) all.begin().reply(refused)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(Fleet.numbered(2).filter(({ address }) => all.member(address).record.isEjected).length, 1)
    })
  )

  it.effect("too few nodes, too few calls, cancelled calls and errors of the caller take no one out", () =>
    Effect.gen(function* () {
      const check = (nodes: number, calls: number, end: (attempt: ReturnType<typeof made.begin>) => void) =>
        Effect.gen(function* () {
          const fleet = yield* Fleet.make(Fleet.numbered(nodes))
          for (let i = 0; i < calls; i++) {
            const attempt = fleet.begin()
            if (attempt.candidate.node.address === bad) end(attempt)
            else attempt.reply(undefined)
          }
          yield* TestClock.adjust("10 seconds")
          return fleet.member(bad).record.isEjected
        })
      const made = yield* Fleet.make([])
      assert.isTrue(yield* check(6, 600, (attempt) => attempt.reply(refused)))
      assert.isFalse(yield* check(4, 600, (attempt) => attempt.reply(refused)))
      assert.isFalse(yield* check(6, 240, (attempt) => attempt.reply(refused)))
      assert.isFalse(yield* check(6, 600, (attempt) => attempt.end("cancelled")))
      assert.isFalse(yield* check(6, 600, (attempt) => attempt.reply(KratosError.notFound("", "no"))))
      assert.isFalse(yield* check(6, 600, (attempt) => attempt.reply(KratosError.unimplemented("", "no"))))
    })
  )

  it.effect("by success rate: one that fails far more often than the others, though not always", () =>
    Effect.gen(function* () {
      const { begin, member } = yield* Fleet.make(Fleet.numbered(8), {
        outlierEjection: { failurePercentage: false, successRate: {} }
      })
      for (let i = 0; i < 1600; i++) {
        const attempt = begin()
        const failing = attempt.candidate.node.address === bad ? i % 3 === 0 : i % 50 === 0
        attempt.reply(failing ? refused : undefined)
      }
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(
        Fleet.numbered(8)
          .map(({ address }) => address)
          .filter((address) => member(address).record.isEjected),
        [bad]
      )
    })
  )

  it.effect("one that was taken out is used when no other can be reached", () =>
    Effect.gen(function* () {
      const { interval, member, pick, selector } = yield* fleet
      yield* interval()
      assert.isTrue(member(bad).record.isEjected)
      for (const { address } of Fleet.numbered(6)) if (address !== bad) selector.setHealth(member(address), "down")
      assert.strictEqual(pick(), bad)
      selector.setHealth(member("10.0.0.1:9000"), "up")
      assert.strictEqual(pick(), "10.0.0.1:9000")
    })
  )
})

describe("slow start", () => {
  it.effect("a node that joins has a tenth of its share, then more, and all of it after the window", () =>
    Effect.gen(function* () {
      const { list, spread } = yield* Fleet.make(Fleet.named("a", "b"), { slowStart: { window: "10 seconds" } })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(spread(20), { a: 10, b: 10 })
      list(Fleet.named("a", "b", "c"))
      assert.strictEqual(spread(210)["c"], 10)
      yield* TestClock.adjust("5 seconds")
      assert.closeTo(spread(250)["c"]!, 50, 1)
      yield* TestClock.adjust("5 seconds")
      assert.closeTo(spread(300)["c"]!, 100, 1)
    })
  )

  it.effect("one that was down begins again; one that was only idle does not", () =>
    Effect.gen(function* () {
      const { member, selector, spread } = yield* Fleet.make(Fleet.named("a", "b"), { slowStart: { window: "10 seconds" } })
      yield* TestClock.adjust("10 seconds")
      spread(1)
      selector.setHealth(member("b"), "pending")
      selector.setHealth(member("b"), "up")
      assert.closeTo(spread(100)["b"]!, 50, 1)
      selector.setHealth(member("b"), "down")
      selector.setHealth(member("b"), "up")
      assert.closeTo(spread(110)["b"]!, 10, 1)
    })
  )
})

describe("subset", () => {
  const nodes = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ node: Node.make(`10.0.0.${i}:1`, { id: `id-${i}`, service: "shop" }) }))

  it("so many of a large fleet; the same for the same key, others for others; all of a small one", () => {
    const list = nodes(200)
    const mine = Subset.select("me", list, 25)
    assert.lengthOf(mine, 25)
    assert.deepStrictEqual(Subset.select("me", list.toReversed(), 25).toReversed(), mine)
    assert.notDeepEqual(Subset.select("you", list, 25), mine)
    assert.strictEqual(Subset.select("me", list.slice(0, 25), 25).length, 25)
    assert.strictEqual(Subset.select("me", list, Number.POSITIVE_INFINITY), list)
  })

  it("a node that goes is replaced by one, and the others stay", () => {
    const list = nodes(200)
    const before = Subset.select("me", list, 25)
    const after = Subset.select(
      "me",
      list.filter((one) => one !== before[3]),
      25
    )
    assert.lengthOf(after, 25)
    assert.lengthOf(
      after.filter((one) => before.includes(one)),
      24
    )
  })
})
