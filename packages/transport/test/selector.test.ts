/** Calls and their nodes: by what the registry says of them, by what became of earlier calls, over every wire. */
import type * as Aspect from "@effect-kratos/core/Aspect"
import { Call } from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Static from "@effect-kratos/core/registry/Static"
import * as ConcurrencyLimit from "@effect-kratos/core/selector/ConcurrencyLimit"
import * as ConsistentHash from "@effect-kratos/core/selector/ConsistentHash"
import * as Filter from "@effect-kratos/core/selector/Filter"
import type * as Gate from "@effect-kratos/core/selector/Gate"
import * as P2c from "@effect-kratos/core/selector/P2c"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type * as ConnectionOptions from "../src/channel/ConnectionOptions.ts"
import * as Channels from "../src/Channels.ts"
import type * as Client from "../src/Client.ts"
import * as Network from "../src/Network.ts"
import type { Echo } from "./gen/test/v1/echo_effect.ts"
import { implement, memory, sends, serve, turn, until, type Wire } from "./Harness.ts"
import { rest } from "./rest/EchoRest.ts"

type Handlers = Parameters<typeof implement>[0]
type EchoShape = (typeof Echo)["Service"]

interface Options {
  readonly count: number
  /** What the nodes do, by their number. Default: they answer with it. */
  readonly handlers?: ((index: number) => Handlers) | undefined
  readonly instance?: ((index: number) => Partial<ServiceInstance.ServiceInstance>) | undefined
  readonly selector?: ConnectionOptions.SelectorOptions | undefined
  readonly wire?: Wire | undefined
  readonly client?: Client.Options | undefined
}

/** Nodes on one network, listed by a registry, and a client of them. */
const fleet = Effect.fnUntraced(function* ({ client, count, handlers, instance, selector, wire = memory }: Options) {
  const shared = yield* serve({ wire })
  const joined = { ...wire, network: Layer.succeed(Network.Network, shared.network) }
  const servers = yield* Effect.forEach(Array.from({ length: count }), (_, index) =>
    serve({ wire: joined, implementation: implement(handlers?.(index) ?? { unary: () => Effect.succeed({ index }) }) })
  )
  const instances = servers.map(({ address: { host, port } }, i) =>
    ServiceInstance.make({
      id: String(i),
      name: "echo",
      endpoints: [`grpc://${host}:${port}`, `http://${host}:${port}`],
      ...instance?.(i)
    })
  )
  const service = wire.service ?? (yield* Effect.promise(() => import("./gen/test/v1/echo_effect.ts"))).Echo
  const context = yield* Layer.build(
    Layer.fresh(service.client("discovery:///echo", { ...wire.client, ...client })).pipe(
      Layer.provide(Channels.layer),
      Layer.provide(Channels.options({ selector })),
      Layer.provide(Static.layer({ echo: instances })),
      Layer.provide(Layer.succeed(Network.Network, shared.network))
    )
  )
  return { echo: Context.get(context, service), servers, addresses: servers.map(({ address }) => `${address.host}:${address.port}`) }
})

/** How often each node answers. */
const spread = (echo: EchoShape, calls: number) =>
  Effect.gen(function* () {
    const counts: Record<number, number> = {}
    for (let i = 0; i < calls; i++) {
      const { index } = yield* echo.unary({})
      counts[index] = (counts[index] ?? 0) + 1
    }
    return counts
  })

const wires: ReadonlyArray<{ readonly name: string; readonly wire: Wire; readonly client?: Client.Options }> = [
  { name: "gRPC", wire: memory },
  { name: "Connect over HTTP/1.1", wire: memory, client: { protocol: "connect", http: "1.1" } },
  { name: "REST", wire: rest(memory, "v3") }
]

/** Records how calls end. */
const recorder = () => {
  const ends: Array<string> = []
  const state = { open: 0 }
  const gate: Gate.Gate = {
    allow: () => true,
    started: () => void state.open++,
    done: ({ call, error, outcome }) => {
      state.open--
      ends.push(`${call.method} ${outcome}${error === undefined ? "" : ` ${error.code}`}`)
    }
  }
  return { ends, state, gates: [Effect.succeed(gate)] }
}

for (const { client, name, wire } of wires) {
  describe(`nodes of calls: ${name}`, () => {
    it.effect("weights of the registry are shares of the calls", () =>
      Effect.gen(function* () {
        const { echo } = yield* fleet({ count: 3, wire, client, instance: (i) => ({ metadata: { weight: String([50, 30, 20][i]) } }) })
        // until all are connected
        yield* spread(echo, 20)
        assert.deepStrictEqual(yield* spread(echo, 100), { 0: 50, 1: 30, 2: 20 })
      })
    )

    it.effect("a strict filter: the nodes of a version; without one 503 NODE_NOT_FOUND", () =>
      Effect.gen(function* () {
        const instance = (i: number) => ({ version: i === 1 ? "2.0.0" : "1.0.0" })
        const some = yield* fleet({ count: 3, wire, client, instance, selector: { filters: [Filter.version("2.0.0")] } })
        assert.deepStrictEqual(yield* spread(some.echo, 5), { 1: 5 })
        const none = yield* fleet({ count: 3, wire, client, instance, selector: { filters: [Filter.version("3.0.0")] } })
        const failure = yield* Effect.flip(none.echo.unary({}))
        assert.deepStrictEqual([KratosError.code(failure), KratosError.reason(failure)], [503, "NODE_NOT_FOUND"])
      })
    )

    it.effect("tiers: from the first call on the best, and the next when that cannot be reached", () =>
      Effect.gen(function* () {
        const { echo, servers } = yield* fleet({
          count: 3,
          wire,
          client,
          instance: (i) => ({ metadata: { zone: i === 2 ? "here" : "there" } }),
          selector: { filters: [Filter.zone({ zone: "here" })] }
        })
        assert.deepStrictEqual(yield* spread(echo, 6), { 2: 6 })
        const closing = yield* Effect.forkChild(servers[2]!.close)
        yield* TestClock.adjust("30 seconds")
        yield* Fiber.join(closing)
        const after = yield* spread(echo, 6)
        assert.isUndefined(after[2])
      })
    )

    it.effect("the metadata of a call says its lane, or its node", () =>
      Effect.gen(function* () {
        const colour = { "x-md-global-colour": ["blue"] }
        const lane = yield* fleet({
          count: 3,
          wire,
          client: { ...client, aspects: sends(colour) },
          instance: (i) => ({ metadata: i === 1 ? { colour: "blue" } : {} }),
          selector: { filters: [Filter.colour()] }
        })
        assert.deepStrictEqual(yield* spread(lane.echo, 5), { 1: 5 })
        const hashed = yield* fleet({
          count: 5,
          wire,
          client: { ...client, aspects: sends({ "x-user": ["u-1"] }) },
          selector: { balancer: ConsistentHash.make({ key: "x-user" }) }
        })
        yield* spread(hashed.echo, 20)
        assert.lengthOf(Object.keys(yield* spread(hashed.echo, 20)), 1)
      })
    )

    it.effect("the call knows its node; a call that is sent again prefers another", () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        const peer = Effect.withFiber((fiber) => Effect.sync(() => void seen.push(Context.getUnsafe(fiber.context, Call).peer)))
        const twice: Aspect.Aspect = (call) => Effect.tap(Effect.andThen(Effect.tap(call, peer), call), peer)
        const { addresses, echo } = yield* fleet({
          count: 3,
          wire,
          client: { ...client, aspects: twice }
        })
        for (let i = 0; i < 9; i++) yield* echo.unary({})
        for (const address of seen) assert.include(addresses, address)
        for (let i = 12; i < 18; i += 2) assert.notStrictEqual(seen[i], seen[i + 1])
        assert.sameMembers([...new Set(seen)], addresses)
      })
    )

    it.effect("how calls end is heard: replies, errors of the business, faults, lateness, interrupts", () =>
      Effect.gen(function* () {
        const { ends, gates, state } = recorder()
        const started = { count: 0 }
        const hang = Effect.andThen(
          Effect.sync(() => void started.count++),
          Effect.never
        )
        const handlers: Handlers = {
          unary: ({ text }) =>
            text === "ok"
              ? Effect.succeed({ index: 1 })
              : text === "missing"
                ? Effect.fail(KratosError.notFound("MISSING", "no"))
                : text === "broken"
                  ? Effect.fail(KratosError.serviceUnavailable("BROKEN", "no"))
                  : hang,
          serverStream: ({ text }) =>
            text === "ok" ? Stream.make({ index: 1 }, { index: 2 }) : Stream.concat(Stream.make({ index: 1 }), Stream.fromEffect(hang))
        }
        const { echo } = yield* fleet({ count: 1, wire, client, handlers: () => handlers, selector: { gates } })
        yield* echo.unary({ text: "ok" })
        yield* Effect.flip(echo.unary({ text: "missing" }))
        yield* Effect.flip(echo.unary({ text: "broken" }))
        yield* Stream.runDrain(echo.serverStream({ text: "ok" }))
        assert.deepStrictEqual(ends.splice(0), ["Unary success", "Unary success 404", "Unary failure 503", "ServerStream success"])

        const late = yield* Effect.forkChild(
          Effect.flip(Effect.provideService(echo.unary({ text: "hang" }), Deadline.Current, (yield* Clock.currentTimeMillis) + 1000))
        )
        yield* until(Effect.sync(() => started.count === 1))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(KratosError.code(yield* Fiber.join(late)), 504)
        assert.match(ends.splice(0).join(), /^Unary failure/)

        const call = yield* Effect.forkChild(echo.unary({ text: "hang" }))
        const stream = yield* Effect.forkChild(Stream.runDrain(echo.serverStream({ text: "hang" })))
        yield* until(Effect.sync(() => started.count === 3))
        yield* Fiber.interrupt(call)
        yield* Fiber.interrupt(stream)
        assert.sameMembers(ends.splice(0), ["Unary cancelled", "ServerStream cancelled"])
        assert.strictEqual(state.open, 0)
      })
    )

    it.effect("calls in flight never leak, whenever they are interrupted, of whatever kind", () =>
      Effect.gen(function* () {
        const { ends, gates, state } = recorder()
        const slow = Effect.repeat(turn, { times: 2 })
        const handlers = (index: number): Handlers => ({
          unary: () => Effect.as(slow, { index }),
          serverStream: () => Stream.tap(Stream.range(0, 4), () => slow).pipe(Stream.map((index) => ({ index }))),
          clientStream: (requests) => Effect.as(Stream.runDrain(requests), { index }),
          bidi: (requests) => Stream.map(requests, () => ({ index }))
        })
        const { echo } = yield* fleet({ count: 3, wire, client, handlers, selector: { gates, balancer: P2c.make } })
        const requests = Stream.tap(Stream.range(0, 4), () => turn).pipe(Stream.map(() => ({ text: "x" })))
        const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          echo.unary({}),
          Stream.runDrain(echo.serverStream({})),
          echo.clientStream(requests),
          Stream.runDrain(echo.bidi(requests))
        ]
        const total = 160
        yield* Effect.forEach(
          Array.from({ length: total }),
          (_, i) =>
            Effect.gen(function* () {
              const fiber = yield* Effect.forkChild(calls[i % calls.length]!, { startImmediately: true })
              yield* Effect.repeat(turn, { times: Math.floor((yield* Random.next) * 25) })
              yield* Fiber.interrupt(fiber)
            }),
          { concurrency: 16 }
        )
        yield* until(Effect.sync(() => state.open === 0))
        assert.isAtMost(ends.length, total)
        assert.isTrue(ends.some((end) => end.endsWith("cancelled")))
        assert.isTrue(ends.some((end) => end.endsWith("success")))
        assert.deepStrictEqual(
          ends.filter((end) => end.includes("failure")),
          []
        )
      }).pipe(Random.withSeed(name))
    )
  })
}

describe("nodes of calls over gRPC", () => {
  /** Calls that come so many every 5 ms, and how many each node gets, in the last second. */
  const load = (latency: (index: number) => number, seconds: number, each: number, selector: ConnectionOptions.SelectorOptions) =>
    Effect.gen(function* () {
      const { echo } = yield* fleet({
        count: 5,
        selector,
        handlers: (index) => ({ unary: () => Effect.as(Effect.sleep(latency(index)), { index }) })
      })
      let counts: Array<number> = []
      // those that are sent, so that slow replies at the end count as well
      const begun = Clock.currentTimeMillis
      const from = yield* begun
      const ask = Effect.gen(function* () {
        const at = (yield* begun) - from
        const { index } = yield* echo.unary({})
        if (at >= (seconds - 1) * 1000) counts[index] = (counts[index] ?? 0) + 1
      })
      for (let ms = 0; ms < seconds * 1000; ms += 5) {
        for (let i = 0; i < each; i++) yield* Effect.forkChild(ask, { startImmediately: true })
        yield* Effect.repeat(turn, { times: 2 })
        yield* TestClock.adjust(5)
        yield* Effect.repeat(turn, { times: 2 })
      }
      for (let i = 0; i < 40; i++) {
        yield* TestClock.adjust(10)
        yield* turn
      }
      const sum = counts.reduce((sum, count) => sum + (count ?? 0), 0)
      counts = Array.from({ length: 5 }, (_, i) => counts[i] ?? 0)
      return { counts, sum }
    })

  it.effect(
    "under P2C one of five nodes that is ten times slower gets at most 5 % of the calls after 3 s",
    () =>
      Effect.gen(function* () {
        const { counts, sum } = yield* load((index) => (index === 2 ? 200 : 20), 4, 5, { balancer: P2c.make })
        assert.strictEqual(sum, 1000)
        assert.isAtMost(counts[2]! / sum, 0.05)
        for (const i of [0, 1, 3, 4]) assert.isAtLeast(counts[i]!, 150)
      }).pipe(Random.withSeed("p2c")),
    60_000
  )

  it.effect("a node of which all calls fail is taken out by itself, and comes back", () =>
    Effect.gen(function* () {
      let broken = true
      const { echo } = yield* fleet({
        count: 5,
        handlers: (index) => ({
          unary: () => (broken && index === 4 ? Effect.fail(KratosError.serviceUnavailable("DOWN", "no")) : Effect.succeed({ index }))
        })
      })
      const errors = Effect.map(
        Effect.forEach(Array.from({ length: 400 }), () => Effect.result(echo.unary({}))),
        (results) => results.filter(({ _tag }) => _tag === "Failure").length
      )
      assert.isAtLeast(yield* errors, 70)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* errors, 0)
      broken = false
      yield* TestClock.adjust("40 seconds")
      assert.strictEqual((yield* spread(echo, 50))[4], 10)
    })
  )

  it.effect("calls beyond the limit of every node wait for one to end", () =>
    Effect.gen(function* () {
      const state = { running: 0, most: 0, go: false }
      const { echo } = yield* fleet({
        count: 2,
        selector: { gates: [ConcurrencyLimit.make({ limit: 2 })] },
        handlers: (index) => ({
          unary: () =>
            Effect.gen(function* () {
              state.most = Math.max(state.most, ++state.running)
              yield* until(Effect.sync(() => state.go))
              state.running--
              return { index }
            })
        })
      })
      const calls = yield* Effect.forEach(Array.from({ length: 12 }), () => Effect.forkChild(echo.unary({})))
      yield* until(Effect.sync(() => state.running === 4))
      yield* Effect.repeat(turn, { times: 10 })
      assert.strictEqual(state.running, 4)
      state.go = true
      for (const call of calls) yield* Fiber.join(call)
      assert.strictEqual(state.most, 4)
    })
  )

  it.effect("a call that waits for its own tier does not keep others from theirs", () =>
    Effect.gen(function* () {
      const state = { go: false }
      const { echo } = yield* fleet({
        count: 2,
        client: { aspects: (call) => call },
        instance: (i) => ({ version: String(i) }),
        selector: {
          gates: [ConcurrencyLimit.make({ limit: 1 })],
          filters: [Filter.where(({ version }, { message }) => version === (message as { readonly text: string }).text)]
        },
        handlers: (index) => ({
          unary: () => (index === 0 ? Effect.as(until(Effect.sync(() => state.go)), { index }) : Effect.succeed({ index }))
        })
      })
      const held = yield* Effect.forkChild(echo.unary({ text: "0" }))
      const waiting = yield* Effect.forkChild(echo.unary({ text: "0" }))
      yield* Effect.repeat(turn, { times: 10 })
      assert.strictEqual((yield* echo.unary({ text: "1" })).index, 1)
      state.go = true
      yield* Fiber.join(held)
      yield* Fiber.join(waiting)
    })
  )

  it.effect("a queue of calls that none of their nodes can take fails to the last one", () =>
    Effect.gen(function* () {
      const { echo } = yield* fleet({
        count: 2,
        instance: (i) => (i === 1 ? { version: "2", endpoints: ["grpc://127.0.0.1:1", "http://127.0.0.1:1"] } : { version: "1" }),
        selector: { filters: [Filter.version("2")] }
      })
      const calls = Array.from({ length: 200 }, () => Effect.flip(echo.unary({})))
      for (const failure of yield* Effect.all(calls, { concurrency: "unbounded" })) assert.strictEqual(KratosError.code(failure), 503)
    })
  )

  it.effect("over HTTP/1.1 a node that refused a connection is left alone, and asked again after a while", () =>
    Effect.gen(function* () {
      const shared = yield* serve({ wire: memory })
      const { host, port } = shared.address
      const asked = { dead: 0 }
      const network: Network.NetworkShape = {
        ...shared.network,
        connect: (to) => Effect.suspend(() => ((asked.dead += to.port === 1 ? 1 : 0), shared.network.connect(to)))
      }
      const { Echo } = yield* Effect.promise(() => import("./gen/test/v1/echo_effect.ts"))
      const context = yield* Layer.build(
        Layer.fresh(Echo.client(`direct:///127.0.0.1:1,${host}:${port}`, { protocol: "connect", http: "1.1" })).pipe(
          Layer.provide(Layer.fresh(Channels.layerDirect)),
          Layer.provide(Layer.succeed(Network.Network, network))
        )
      )
      const echo = Context.get(context, Echo)
      const ask = Effect.repeat(echo.unary({ text: "x" }), { times: 20 })
      yield* ask
      assert.strictEqual(asked.dead, 1)
      yield* TestClock.adjust("2 seconds")
      yield* ask
      assert.strictEqual(asked.dead, 2)
      // the pauses grow
      yield* TestClock.adjust("1 second")
      yield* ask
      assert.strictEqual(asked.dead, 2)
    })
  )

  it.effect("a client uses 25 nodes of a large service, or as many as it is told", () =>
    Effect.gen(function* () {
      const shared = yield* serve({ wire: memory })
      const connected = new Set<string>()
      const network: Network.NetworkShape = {
        ...shared.network,
        connect: (to) => Effect.suspend(() => (connected.add(to.host), shared.network.connect(shared.address)))
      }
      const instances = Array.from({ length: 40 }, (_, i) =>
        ServiceInstance.make({ id: String(i), name: "echo", endpoints: [`grpc://10.0.0.${i}:9000`] })
      )
      const { Echo } = yield* Effect.promise(() => import("./gen/test/v1/echo_effect.ts"))
      const used = (selector: ConnectionOptions.SelectorOptions) =>
        Effect.gen(function* () {
          connected.clear()
          const context = yield* Layer.build(
            Layer.fresh(Echo.client("discovery:///echo")).pipe(
              Layer.provide(Layer.fresh(Channels.layer)),
              Layer.provide(Channels.options({ selector })),
              Layer.provide(Static.layer({ echo: instances })),
              Layer.provide(Layer.succeed(Network.Network, network))
            )
          )
          yield* Context.get(context, Echo).unary({ text: "x" })
          return connected.size
        })
      assert.strictEqual(yield* used({}), 25)
      assert.strictEqual(yield* used({ subset: 3 }), 3)
      assert.strictEqual(yield* used({ subset: false }), 40)
    })
  )
})
