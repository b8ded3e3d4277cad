/** What goes where: each scene starts a fleet, makes calls, and counts which instance answered how many. */
import type * as Aspect from "@effect-kratos/core/Aspect"
import { Call } from "@effect-kratos/core/Call"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as Memory from "@effect-kratos/core/registry/Memory"
import * as ConsistentHash from "@effect-kratos/core/selector/ConsistentHash"
import * as Filter from "@effect-kratos/core/selector/Filter"
import * as P2c from "@effect-kratos/core/selector/P2c"
import { Greeter } from "@effect-kratos/example-helloworld/src/gen/helloworld/v1/greeter_effect.ts"
import * as Channels from "@effect-kratos/transport/Channels"
import type * as ConnectionOptions from "@effect-kratos/transport/channel/ConnectionOptions"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Fleet from "./Fleet.ts"

/** Calls by the instance that answered them. */
export type Spread = Readonly<Record<string, number>>

export interface Scene {
  readonly title: string
  readonly run: Effect.Effect<Spread, unknown>
}

/** A client's aspect that sends a header with every call. */
const header =
  (key: string, value: string): Aspect.Aspect =>
  (call) =>
    Effect.withFiber((fiber) => {
      Metadata.set(Context.getUnsafe(fiber.context, Call).request, key, value)
      return call
    })

interface Options {
  readonly selector?: ConnectionOptions.SelectorOptions | undefined
  readonly aspects?: Aspect.Aspect | undefined
  /** Calls at the same time. Default 1. */
  readonly concurrency?: number | undefined
  /** Calls that come before the ones that are counted: until all are connected, and what is slow is known. Default 50. */
  readonly before?: number | undefined
}

const spread = (instances: ReadonlyArray<Fleet.Instance>, calls: number, options: Options = {}): Effect.Effect<Spread, unknown> => {
  const { aspects, before = 50, concurrency = 1, selector } = options
  const client = Greeter.client("discovery:///greeter", { aspects }).pipe(
    Layer.provide(Channels.layer),
    // the same for all targets of a program, or a function of the target
    Layer.provide(Channels.options({ selector }))
  )
  const ask = Effect.gen(function* () {
    const { sayHello } = yield* Greeter
    const counts: Record<string, number> = Object.fromEntries(instances.map(({ name }) => [name, 0]))
    const call = (counted: boolean) =>
      Effect.map(sayHello({ name: "selector" }), ({ message }) => {
        if (counted) counts[message] = (counts[message] ?? 0) + 1
      })
    yield* Effect.forEach(Array.from({ length: before }), () => call(false), { concurrency, discard: true })
    yield* Effect.forEach(Array.from({ length: calls }), () => call(true), { concurrency, discard: true })
    return counts
  })
  return ask.pipe(Effect.provide(client.pipe(Layer.provideMerge(Fleet.layer(instances)), Layer.provide(Layer.fresh(Memory.layer)))))
}

const three = (metadata: (i: number) => Record<string, string>): ReadonlyArray<Fleet.Instance> =>
  ["a", "b", "c"].map((name, i) => ({ name, metadata: metadata(i) }))

const coloured: ReadonlyArray<Fleet.Instance> = [{ name: "a" }, { name: "b" }, { name: "blue", metadata: { colour: "blue" } }]

/** One of five takes ten times as long. */
const oneSlow: ReadonlyArray<Fleet.Instance> = ["a", "b", "slow", "c", "d"].map((name) => ({
  name,
  latency: name === "slow" ? "100 millis" : "10 millis"
}))

export const scenes: ReadonlyArray<Scene> = [
  {
    title: "weights 50, 30, 20 in the registry, weighted round robin",
    run: spread(
      three((i) => ({ weight: String([50, 30, 20][i]) })),
      100
    )
  },
  {
    title: "version 2.0.0, else 1.0.0",
    run: spread(
      [
        { name: "old", version: "1.0.0" },
        { name: "new", version: "2.0.0" }
      ],
      100,
      { selector: { filters: [Filter.version("2.0.0", "1.0.0")] } }
    )
  },
  { title: "no colour: no call for the blue one", run: spread(coloured, 100, { selector: { filters: [Filter.colour()] } }) },
  {
    title: "calls that ask for blue",
    run: spread(coloured, 100, { selector: { filters: [Filter.colour()] }, aspects: header("x-md-global-colour", "blue") })
  },
  {
    title: "the own zone first",
    run: spread(
      three((i) => ({ zone: i === 1 ? "berlin" : "paris" })),
      100,
      { selector: { filters: [Filter.zone({ zone: "berlin" })] } }
    )
  },
  {
    title: "one key, consistent hash",
    run: spread(
      three(() => ({})),
      100,
      { selector: { balancer: ConsistentHash.make({ key: "x-user" }) }, aspects: header("x-user", "ada") }
    )
  },
  { title: "one ten times slower, weighted round robin", run: spread(oneSlow, 500, { concurrency: 20, before: 200 }) },
  {
    title: "one ten times slower, P2C",
    run: spread(oneSlow, 500, { concurrency: 20, before: 200, selector: { balancer: P2c.make } })
  }
]
