/**
 * What every balancer must do, whatever it goes by. `suite` declares the tests for one; they drive it as a client does, through a `Selector`, with time and
 * chance of the test.
 */
import type { CallShape, Kind } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Metadata from "@effect-kratos/core/Metadata"
import type { Outcome } from "@effect-kratos/core/selector/Attempt"
import * as Balancer from "@effect-kratos/core/selector/Balancer"
import type { Member } from "@effect-kratos/core/selector/Member"
import * as Node from "@effect-kratos/core/selector/Node"
import * as Selector from "@effect-kratos/core/selector/Selector"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as TestClock from "effect/testing/TestClock"

export interface Options {
  /** The metadata of the `i`-th call, for balancers that go by it. Default: none. */
  readonly metadata?: ((i: number) => Readonly<Record<string, string>>) | undefined
  /** Calls in which each of five equal nodes is to be picked at least once. Default 500. */
  readonly fairWithin?: number | undefined
}

const kinds: ReadonlyArray<Kind> = ["unary", "client_streaming", "server_streaming", "bidi_streaming"]
const outcomes: ReadonlyArray<Outcome> = ["success", "failure", "cancelled", "unprocessed"]

/** Declares the laws for the balancer that `make` makes, one for each test. */
export const suite = (name: string, make: Balancer.Make, { fairWithin = 500, metadata = () => ({}) }: Options = {}): void => {
  const call = (i: number): CallShape => ({
    side: "client",
    operation: "/test.v1.Test/Call",
    service: "test.v1.Test",
    method: "Call",
    kind: kinds[i % kinds.length]!,
    transport: "grpc",
    peer: "",
    endpoint: "discovery:///test",
    pathTemplate: undefined,
    request: Metadata.fromRecord(metadata(i)),
    reply: Metadata.make(),
    trailers: Metadata.make(),
    deadline: undefined,
    message: undefined
  })

  /** A selector whose balancer is checked at every pick. */
  const fleet = Effect.gen(function* () {
    const problems: Array<string> = []
    const balancer = yield* make
    const checked = Balancer.make<unknown>({
      ...balancer,
      pick: (candidates, of) => {
        if (candidates.length === 0) problems.push("asked without candidates")
        try {
          const picked = balancer.pick(Object.freeze(candidates), of)
          if (!candidates.includes(picked)) problems.push("picked what is no candidate")
          return picked
        } catch (cause) {
          problems.push(`threw ${String(cause)}`)
          throw cause
        }
      }
    })
    const selector = yield* Selector.make<null>(
      { target: "discovery:///test", isReady: () => true, onChange: () => {} },
      { balancer: Effect.succeed(checked), outlierEjection: false }
    )
    let members: ReadonlyArray<Member<null>> = []
    const list = (nodes: ReadonlyArray<Node.Node>): void => {
      const before = new Map(members.map((member) => [member.node.address, member]))
      members = nodes.map((node) => {
        const there = before.get(node.address)
        before.delete(node.address)
        there?.relist(node)
        if (there !== undefined) return there
        const joined = selector.join(node, null)
        selector.setHealth(joined, "up")
        return joined
      })
      for (const gone of before.values()) selector.leave(gone)
      selector.list(members)
    }
    return { call, list, members: () => members, problems, selector }
  })

  const nodes = (weights: ReadonlyArray<number>, from = 0): ReadonlyArray<Node.Node> =>
    weights.map((weight, i) => Node.make(`10.0.0.${from + i}:9000`, { metadata: { weight: String(weight) } }))
  const below = (limit: number) => Effect.map(Random.next, (random) => Math.floor(random * limit))

  describe(`balancer laws: ${name}`, () => {
    it.effect("picks one of its candidates, whatever their number and weights, and changes none of what it is given", () =>
      Effect.gen(function* () {
        const { list, problems, selector } = yield* fleet
        for (let round = 0; round < 60; round++) {
          const weights: Array<number> = []
          for (let n = 1 + (yield* below(25)); n > 0; n--) weights.push([0, 1, 100, 100, 1_000_000][yield* below(5)]!)
          list(nodes(weights, yield* below(20)))
          for (let i = 0; i < 30; i++) {
            const picked = selector.pick(call(i))!
            selector.begin(picked, call(i)).reply(undefined)
          }
        }
        assert.deepStrictEqual(problems, [])
      }).pipe(Random.withSeed(name))
    )

    it.effect("a node that is not listed any more, or cannot be reached, gets no call; one that comes gets some", () =>
      Effect.gen(function* () {
        const { list, members, selector } = yield* fleet
        const picks = (from: number) =>
          Effect.gen(function* () {
            const seen = new Set<string>()
            for (let i = from; i < from + fairWithin; i++) {
              const picked = selector.pick(call(i))!
              const attempt = selector.begin(picked, call(i))
              yield* TestClock.adjust(1)
              attempt.reply(undefined)
              seen.add(picked.node.address)
            }
            return [...seen].sort()
          })
        const [a, b, c, d, e, f] = nodes([100, 100, 100, 100, 100, 100])
        const addresses = (...of: ReadonlyArray<Node.Node>) => of.map(({ address }) => address)
        list([a!, b!, c!, d!, e!])
        assert.deepStrictEqual(yield* picks(0), addresses(a!, b!, c!, d!, e!))
        list([b!, c!, d!, e!, f!])
        assert.deepStrictEqual(yield* picks(1000), addresses(b!, c!, d!, e!, f!))
        for (const member of members()) if (member.node === c) selector.setHealth(member, "down")
        assert.deepStrictEqual(yield* picks(2000), addresses(b!, d!, e!, f!))
        list([a!, b!, c!, d!, e!, f!])
        const back = yield* picks(3000)
        assert.include(back, a!.address)
        assert.notInclude(back, c!.address)
      }).pipe(Random.withSeed(name))
    )

    it.effect("goes on whatever becomes of the calls, in any order; each is heard to end once", () =>
      Effect.gen(function* () {
        const { list, members, problems, selector } = yield* fleet
        list(nodes([100, 50, 100, 200]))
        const open: Array<Selector.Try<null>> = []
        const error = KratosError.serviceUnavailable("", "no")
        for (let i = 0; i < 1_500; i++) {
          yield* TestClock.adjust(yield* below(5))
          if (open.length === 0 || (yield* Random.next) < 0.55) open.push(selector.begin(selector.pick(call(i))!, call(i)))
          else {
            const [attempt] = open.splice(yield* below(open.length), 1)
            const outcome = outcomes[yield* below(outcomes.length)]!
            attempt!.end(outcome, outcome === "failure" ? error : undefined)
            attempt!.end("failure", error)
          }
          if (i % 300 === 299) list(nodes([100, 50, 100, 200].slice(0, 1 + (yield* below(4)))))
        }
        for (const attempt of open) attempt.end("cancelled")
        for (const { inFlight } of members()) assert.strictEqual(inFlight, 0)
        for (let i = 0; i < 50; i++) assert.isDefined(selector.pick(call(i)))
        assert.deepStrictEqual(problems, [])
      }).pipe(Random.withSeed(name))
    )

    it.effect("a fleet of which every call fails still gets calls", () =>
      Effect.gen(function* () {
        const { list, problems, selector } = yield* fleet
        list(nodes([100, 100, 100]))
        for (let i = 0; i < 500; i++) {
          const attempt = selector.begin(selector.pick(call(i))!, call(i))
          yield* TestClock.adjust(1)
          attempt.end("failure", KratosError.serviceUnavailable("", "no"))
        }
        assert.isDefined(selector.pick(call(0)))
        assert.deepStrictEqual(problems, [])
      }).pipe(Random.withSeed(name))
    )
  })
}
