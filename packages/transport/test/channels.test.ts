/** Where calls go: nodes from a registry as they change, in turn, past those that cannot be reached; connections shared. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as TestClock from "effect/testing/TestClock"
import * as Channels from "../src/Channels.ts"
import * as Network from "../src/Network.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"
import { implement, memory, serve, turn } from "./Harness.ts"

type List = ReadonlyArray<string> | undefined

/** Three servers that answer with their number, a registry, and a network that counts. Undefined in the registry: it fails. */
const world = Effect.gen(function* () {
  const shared = yield* serve({ wire: memory })
  const wire = { name: "shared", network: Layer.succeed(Network.Network, shared.network) }
  const servers = yield* Effect.forEach([1, 2, 3], (index) =>
    serve({ wire, implementation: implement({ unary: () => Effect.succeed({ index }) }) })
  )
  const urls = servers.map(({ address }) => `grpc://${address.host}:${address.port}`)
  const registry = yield* SubscriptionRef.make<List>(urls)
  const state = { connects: 0, watches: 0 }
  const network: Network.NetworkShape = {
    ...shared.network,
    connect: (to) => Effect.suspend(() => (state.connects++, shared.network.connect(to)))
  }
  const list = (name: string, endpoints: List): Effect.Effect<ReadonlyArray<ServiceInstance.ServiceInstance>, RegistryError> =>
    endpoints === undefined
      ? Effect.fail(new RegistryError({ method: "watch", cause: new Error("registry is away") }))
      : Effect.succeed(endpoints.map((url, i) => ServiceInstance.make({ id: String(i), name, endpoints: ["http://ignored:1", url] })))
  const discovery = Discovery.of({
    get: (name) => Effect.flatMap(SubscriptionRef.get(registry), (urls) => list(name, urls)),
    watch: (name) =>
      Stream.suspend(() => {
        state.watches++
        return Stream.mapEffect(SubscriptionRef.changes(registry), (urls) => list(name, urls))
      })
  })
  const channels = yield* Layer.build(
    Channels.layer.pipe(Layer.provide(Layer.succeed(Discovery, discovery)), Layer.provide(Layer.succeed(Network.Network, network)))
  )
  const client = (target: string) =>
    Effect.map(Layer.build(Layer.fresh(Echo.client(target)).pipe(Layer.provide(Layer.succeedContext(channels)))), (context) =>
      Context.get(context, Echo)
    )
  const change = (urls: List) => Effect.andThen(SubscriptionRef.set(registry, urls), Effect.repeat(turn, { times: 3 }))
  return { change, client, servers, state, urls }
})

const ask = (echo: (typeof Echo)["Service"], times: number) =>
  Effect.map(
    Effect.forEach(Array.from({ length: times }), () => Effect.map(echo.unary({}), ({ index }) => index)),
    (seen) => [...new Set(seen)].sort()
  )

describe("channels", () => {
  it.effect("take the nodes of a registry in turn, over one connection each", () =>
    Effect.gen(function* () {
      const { client, state } = yield* world
      const echo = yield* client("discovery:///echo")
      assert.deepStrictEqual(yield* ask(echo, 9), [1, 2, 3])
      yield* ask(yield* client("discovery:///echo"), 9)
      assert.deepStrictEqual(state, { connects: 3, watches: 1 })
    })
  )

  it.effect("follow its changes; the connection of a node that has gone ends", () =>
    Effect.gen(function* () {
      const { change, client, servers, state, urls } = yield* world
      const echo = yield* client("discovery:///echo")
      yield* ask(echo, 9)
      yield* change([urls[0]!])
      assert.deepStrictEqual(yield* ask(echo, 9), [1])
      // nobody is connected to it any more: it closes on a clock that stands still
      yield* servers[1]!.close
      yield* change([urls[0]!, urls[2]!])
      assert.deepStrictEqual(yield* ask(echo, 9), [1, 3])
      assert.strictEqual(state.connects, 4)
    })
  )

  it.effect("an empty list is 503, and the end of it is seen", () =>
    Effect.gen(function* () {
      const { change, client, urls } = yield* world
      const echo = yield* client("discovery:///echo")
      yield* ask(echo, 3)
      yield* change([])
      const failure = yield* Effect.flip(echo.unary({}))
      assert.deepStrictEqual([KratosError.code(failure), KratosError.reason(failure)], [503, "NODE_NOT_FOUND"])
      yield* change(urls)
      assert.deepStrictEqual(yield* ask(echo, 9), [1, 2, 3])
    })
  )

  it.effect("a registry that fails is asked again; what it said before still holds", () =>
    Effect.gen(function* () {
      const { change, client, state, urls } = yield* world
      const echo = yield* client("discovery:///echo")
      yield* ask(echo, 3)
      yield* change(undefined)
      assert.deepStrictEqual(yield* ask(echo, 9), [1, 2, 3])
      yield* TestClock.adjust("3 seconds")
      assert.isAtLeast(state.watches, 3)
      yield* change([urls[1]!])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* ask(echo, 9), [2])
    })
  )

  it.effect("the first call waits for the first list", () =>
    Effect.gen(function* () {
      const { change, client } = yield* world
      yield* change(undefined)
      const echo = yield* client("discovery:///echo")
      const fiber = yield* Effect.forkChild(echo.unary({}))
      yield* Effect.repeat(turn, { times: 5 })
      assert.isUndefined(fiber.pollUnsafe())
      yield* change([])
      yield* TestClock.adjust("1 second")
      assert.isTrue((yield* Fiber.await(fiber))._tag === "Failure")
    })
  )

  it.effect("nodes that cannot be reached are passed over", () =>
    Effect.gen(function* () {
      const { change, client, urls } = yield* world
      const echo = yield* client("discovery:///echo")
      yield* change(["grpc://nowhere:1", urls[0]!, "grpc://nowhere:2"])
      assert.deepStrictEqual(yield* ask(echo, 9), [1])
      yield* change(["grpc://nowhere:1", "grpc://nowhere:2"])
      const failure = yield* Effect.flip(echo.unary({}))
      assert.strictEqual(KratosError.code(failure), 503)
      assert.include(failure.message, "nowhere")
    })
  )

  it.effect("instances without a gRPC endpoint are none", () =>
    Effect.gen(function* () {
      const { change, client, urls } = yield* world
      const echo = yield* client("discovery:///echo")
      yield* change(["https://a:1", "not a url", urls[2]!.toUpperCase().replace("GRPC://", "grpc://")])
      assert.deepStrictEqual(yield* ask(echo, 5), [3])
    })
  )

  it.effect("a target that is none fails its calls with 400 and says why", () =>
    Effect.gen(function* () {
      const { client } = yield* world
      for (const target of ["", "ftp://a:1", "direct:///a", "discovery:///"]) {
        const failure = yield* Effect.flip((yield* client(target)).unary({}))
        assert.deepStrictEqual([KratosError.code(failure), KratosError.reason(failure)], [400, "TARGET"])
        assert.include(failure.message, JSON.stringify(target))
      }
    })
  )

  it.effect("without a registry discovery:/// is 400 too", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(Echo.client("discovery:///echo").pipe(Layer.provide(Channels.layerDirect)))
      const failure = yield* Effect.flip(Context.get(context, Echo).unary({}))
      assert.deepStrictEqual([KratosError.code(failure), KratosError.reason(failure)], [400, "TARGET"])
    })
  )
})
