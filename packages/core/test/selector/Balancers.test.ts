/** How each balancer shares calls out. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as TestClock from "effect/testing/TestClock"
import * as KratosError from "../../src/error/KratosError.ts"
import * as ConsistentHash from "../../src/selector/ConsistentHash.ts"
import * as LeastRequest from "../../src/selector/LeastRequest.ts"
import * as Node from "../../src/selector/Node.ts"
import * as P2c from "../../src/selector/P2c.ts"
import * as RandomBalancer from "../../src/selector/Random.ts"
import * as Fleet from "./Fleet.ts"

describe("weighted round robin", () => {
  it.effect("gives each node its share exactly, spread out, as nginx does", () =>
    Effect.gen(function* () {
      const { pick } = yield* Fleet.make(Fleet.weighted({ a: 5, b: 1, c: 1 }))
      const picks = Array.from({ length: 14 }, () => pick())
      assert.deepStrictEqual(picks.join(""), "aabacaa".repeat(2))
    })
  )

  it.effect("any weights: exact after every round of their sum", () =>
    Effect.gen(function* () {
      const weights = { a: 100, b: 37, c: 0, d: 13, e: 50 }
      const { spread } = yield* Fleet.make(Fleet.weighted(weights))
      assert.deepStrictEqual(spread(200), { a: 100, b: 37, d: 13, e: 50 })
      assert.deepStrictEqual(spread(400), { a: 200, b: 74, d: 26, e: 100 })
    })
  )

  it.effect("without weights all are alike; of weights that are all 0 as well", () =>
    Effect.gen(function* () {
      const plain = yield* Fleet.make(Fleet.named("a", "b", "c"))
      assert.deepStrictEqual(plain.spread(30), { a: 10, b: 10, c: 10 })
      const zero = yield* Fleet.make(Fleet.weighted({ a: 0, b: 0, c: -5 }))
      assert.deepStrictEqual(zero.spread(30), { a: 10, b: 10, c: 10 })
    })
  )

  it("weights are decimal integers; 100 where there is none, and no more than the limit", () => {
    const weight = (text: string): number => Node.weightOf(Node.make("a", { metadata: { weight: text } }))
    assert.deepStrictEqual(["7", "+7", "-7", "0", "1e3", "", "x", "0x10", "99999999999"].map(weight), [
      7,
      7,
      0,
      0,
      100,
      100,
      100,
      100,
      Node.maxWeight
    ])
    assert.strictEqual(Node.weightOf(Node.make("a")), 100)
  })

  it.effect("a change of the metadata changes the shares of the next calls", () =>
    Effect.gen(function* () {
      const { list, spread } = yield* Fleet.make(Fleet.weighted({ a: 100, b: 100 }))
      assert.deepStrictEqual(spread(20), { a: 10, b: 10 })
      list(Fleet.weighted({ a: 300, b: 100 }))
      assert.deepStrictEqual(spread(40), { a: 30, b: 10 })
    })
  )
})

describe("random", () => {
  it.effect("all nodes alike, whatever their weights; in proportion when weights count", () =>
    Effect.gen(function* () {
      const nodes = Fleet.weighted({ a: 900, b: 100 })
      const plain = yield* Fleet.make(nodes, { balancer: RandomBalancer.make() })
      assert.closeTo(plain.spread(20_000)["a"]! / 20_000, 0.5, 0.02)
      const weighted = yield* Fleet.make(nodes, { balancer: RandomBalancer.make({ weighted: true }) })
      assert.closeTo(weighted.spread(20_000)["a"]! / 20_000, 0.9, 0.02)
    }).pipe(Random.withSeed("random"))
  )
})

describe("least request", () => {
  it.effect("the node with the fewest calls for its weight", () =>
    Effect.gen(function* () {
      const { begin, member } = yield* Fleet.make(Fleet.weighted({ a: 100, b: 100, c: 200 }), { balancer: LeastRequest.make() })
      const open = Array.from({ length: 40 }, () => begin())
      assert.deepStrictEqual(
        ["a", "b", "c"].map((name) => member(name).inFlight),
        [10, 10, 20]
      )
      for (const attempt of open) if (attempt.candidate.node.address === "b") attempt.reply(undefined)
      assert.strictEqual(begin().candidate.node.address, "b")
    })
  )

  it.effect("with little to do the nodes take turns", () =>
    Effect.gen(function* () {
      const { spread } = yield* Fleet.make(Fleet.named("a", "b", "c"), { balancer: LeastRequest.make() })
      assert.deepStrictEqual(spread(30), { a: 10, b: 10, c: 10 })
    })
  )

  it.effect("of a few choices the busiest is never taken unless all are it", () =>
    Effect.gen(function* () {
      const { begin, spread } = yield* Fleet.make(Fleet.numbered(10), { balancer: LeastRequest.make({ choices: 3 }) })
      const busy = begin().candidate.node.address
      const counts = spread(5_000)
      assert.isBelow(counts[busy] ?? 0, 50)
      assert.lengthOf(Object.keys(counts), (counts[busy] ?? 0) > 0 ? 10 : 9)
    }).pipe(Random.withSeed("least"))
  )
})

describe("P2C", () => {
  /** Calls that come one a millisecond and take what their node takes; how many each node got in the last second. */
  const run = (latency: Record<string, number>, seconds: number, every = 1) =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make(Fleet.named(...Object.keys(latency)), { balancer: P2c.make })
      const due = new Map<number, Array<() => void>>()
      let counts: Record<string, number> = {}
      for (let now = 0; now < seconds * 1000; now++) {
        if (now === (seconds - 1) * 1000) counts = {}
        for (const end of due.get(now) ?? []) end()
        due.delete(now)
        for (let i = 0; i < every; i++) {
          const attempt = fleet.begin()
          const name = attempt.candidate.node.address
          counts[name] = (counts[name] ?? 0) + 1
          const at = now + latency[name]!
          due.set(at, [...(due.get(at) ?? []), () => attempt.reply(undefined)])
        }
        yield* TestClock.adjust(1)
      }
      return counts
    })

  it.effect(
    "one of five nodes ten times slower gets at most 5 % of the calls after 3 s, whatever the load",
    () =>
      Effect.gen(function* () {
        for (const [fast, every] of [
          [1, 1],
          [5, 1],
          [5, 4],
          [20, 1],
          [20, 5]
        ] as const) {
          const counts = yield* run({ a: fast, b: fast, slow: fast * 10, c: fast, d: fast }, 4, every)
          const share = (counts["slow"] ?? 0) / (1000 * every)
          assert.isAtMost(share, 0.05, `${fast} ms, ${every} calls a ms: ${JSON.stringify(counts)}`)
          for (const name of ["a", "b", "c", "d"]) assert.isAtLeast(counts[name]!, 150 * every)
        }
      }).pipe(Random.withSeed("p2c")),
    60_000
  )

  it.effect(
    "a node that fails at once does not draw the calls, and has its share again when it recovers",
    () =>
      Effect.gen(function* () {
        const { begin } = yield* Fleet.make(Fleet.numbered(5), { balancer: P2c.make, outlierEjection: false })
        let broken = true
        const second = Effect.gen(function* () {
          let bad = 0
          for (let i = 0; i < 1000; i++) {
            const attempt = begin()
            yield* TestClock.adjust(1)
            if (attempt.candidate.node.address === "10.0.0.3:9000") {
              bad++
              attempt.reply(broken ? KratosError.serviceUnavailable("", "no") : undefined)
            } else attempt.reply(undefined)
          }
          return bad
        })
        yield* second
        yield* second
        assert.isAtMost(yield* second, 30)
        broken = false
        for (let i = 0; i < 30; i++) yield* second
        assert.isAtLeast(yield* second, 100)
      }).pipe(Random.withSeed("p2c")),
    60_000
  )

  it.effect("a node that has lost for 3 s gets one call all the same", () =>
    Effect.gen(function* () {
      const fleet = yield* Fleet.make(Fleet.named("a", "b"), { balancer: P2c.make })
      const turn = (latency: number) =>
        Effect.gen(function* () {
          const attempt = fleet.begin()
          yield* TestClock.adjust(attempt.candidate.node.address === "b" ? latency : 1)
          attempt.reply(undefined)
          return attempt.candidate.node.address
        })
      for (let i = 0; i < 20; i++) yield* turn(2000)
      const picks: Array<string> = []
      for (let i = 0; i < 2900; i++) picks.push(yield* turn(2000))
      assert.isAtMost(picks.filter((name) => name === "b").length, 2)
      yield* TestClock.adjust("3001 millis")
      const next = [yield* turn(1), yield* turn(1)]
      assert.include(next, "b")
    }).pipe(Random.withSeed("forced"))
  )

  it.effect("calls that were given up say nothing of their node, however long they took", () =>
    Effect.gen(function* () {
      const { begin } = yield* Fleet.make(Fleet.named("a", "b"), { balancer: P2c.make })
      const turn = (cancelling: boolean) =>
        Effect.gen(function* () {
          const attempt = begin()
          const { address } = attempt.candidate.node
          const cancelled = cancelling && address === "a"
          yield* TestClock.adjust(cancelled ? 300 : 1)
          if (cancelled) attempt.end("cancelled")
          else attempt.reply(undefined)
          return address
        })
      for (let i = 0; i < 20; i++) yield* turn(false)
      for (let i = 0; i < 100; i++) yield* turn(true)
      let count = 0
      for (let i = 0; i < 200; i++) if ((yield* turn(false)) === "a") count++
      assert.isAtLeast(count, 60)
    }).pipe(Random.withSeed("cancelled"))
  )

  it.effect("what is known of a node survives that it is not listed for a while", () =>
    Effect.gen(function* () {
      const { begin, list, member } = yield* Fleet.make(Fleet.named("a", "b"), { balancer: P2c.make })
      for (let i = 0; i < 50; i++) {
        const attempt = begin()
        yield* TestClock.adjust(attempt.candidate.node.address === "a" ? 300 : 1)
        attempt.reply(undefined)
      }
      const before = member("a").state
      list(Fleet.named("b"))
      list(Fleet.named("a", "b"))
      assert.strictEqual(member("a").state, before)
      const picks = Array.from({ length: 20 }, () => begin())
      for (const attempt of picks) attempt.end("cancelled")
      assert.isAtMost(picks.filter(({ candidate }) => candidate.node.address === "a").length, 5)
    }).pipe(Random.withSeed("history"))
  )
})

describe("consistent hash", () => {
  const keyed = (i: number) => Fleet.tagged("user", `user-${i}`)
  const balancer = ConsistentHash.make({ key: "User" })

  it.effect("a key has its node; a node that joins takes 1/n of the keys and moves no others", () =>
    Effect.gen(function* () {
      const nodes = Fleet.numbered(11)
      const { list, pick } = yield* Fleet.make(nodes.slice(0, 10), { balancer })
      const keys = Array.from({ length: 10_000 }, (_, i) => i)
      const before = keys.map((i) => pick(keyed(i)))
      assert.deepStrictEqual(
        keys.map((i) => pick(keyed(i))),
        before
      )
      list(nodes)
      const after = keys.map((i) => pick(keyed(i)))
      const moved = keys.filter((i) => after[i] !== before[i])
      assert.isAtMost(moved.length, (10_000 / 11) * 1.3)
      assert.isAtLeast(moved.length, (10_000 / 11) * 0.7)
      assert.isTrue(moved.every((i) => after[i] === "10.0.0.10:9000"))
      list(nodes.slice(0, 10))
      assert.deepStrictEqual(
        keys.map((i) => pick(keyed(i))),
        before
      )
    })
  )

  it.effect("keys are spread by weight", () =>
    Effect.gen(function* () {
      const { spread } = yield* Fleet.make(Fleet.weighted({ a: 100, b: 100, c: 200, d: 0 }), { balancer })
      const counts = spread(20_000, keyed)
      assert.closeTo(counts["c"]! / 20_000, 0.5, 0.06)
      assert.closeTo(counts["a"]! / 20_000, 0.25, 0.06)
      assert.isUndefined(counts["d"])
    })
  )

  it.effect("with a bound no node has more than its part of the calls in flight, even for one key", () =>
    Effect.gen(function* () {
      const { begin, member } = yield* Fleet.make(Fleet.named("a", "b", "c", "d"), {
        balancer: ConsistentHash.make({ key: "user", loadFactor: 1.25 })
      })
      for (let n = 1; n <= 200; n++) {
        begin(keyed(7))
        for (const name of ["a", "b", "c", "d"]) assert.isAtMost(member(name).inFlight, Math.ceil((1.25 * n) / 4))
      }
    })
  )

  it.effect("a call without a key goes anywhere; a key may be made by a function", () =>
    Effect.gen(function* () {
      const { spread } = yield* Fleet.make(Fleet.named("a", "b", "c"), { balancer })
      const counts = spread(3_000)
      for (const name of ["a", "b", "c"]) assert.isAtLeast(counts[name]!, 800)
      const byMethod = yield* Fleet.make(Fleet.named("a", "b", "c"), { balancer: ConsistentHash.make({ key: (call) => call.method }) })
      assert.lengthOf(Object.keys(byMethod.spread(100)), 1)
    }).pipe(Random.withSeed("hash"))
  )
})
