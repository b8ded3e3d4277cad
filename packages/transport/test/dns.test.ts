import { Discovery } from "@effect-kratos/core/registry/Discovery"
import type * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Channels from "../src/Channels.ts"
import * as Dns from "../src/Dns.ts"
import * as Network from "../src/Network.ts"
import * as Target from "../src/Target.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"
import { implement, serve } from "./Harness.ts"

const servfail = new Error("SERVFAIL")

/** Answers that the test gives. */
const make = () => {
  const self = {
    hosts: {} as Record<string, ReadonlyArray<string>>,
    services: {} as Record<string, ReadonlyArray<Dns.Srv>>,
    ttl: 10 as number | undefined,
    down: false,
    questions: 0
  }
  const answer = <A>(records: ReadonlyArray<A> | undefined) =>
    Effect.suspend(() => {
      self.questions++
      return self.down ? Effect.fail(servfail) : Effect.succeed({ records: records ?? [], ttl: self.ttl })
    })
  const resolver: Dns.Resolver = {
    addresses: (host) => Effect.suspend(() => answer(self.hosts[host])),
    services: (name) => Effect.suspend(() => answer(self.services[name]))
  }
  return { self, resolver }
}

const ids = (list: ReadonlyArray<ServiceInstance.ServiceInstance>) => list.map(({ id }) => id).join()

const follow = Effect.fnUntraced(function* (question: Dns.Question, resolver: Dns.Resolver) {
  const seen: Array<string> = []
  yield* Dns.watch("greeter", question, ["grpc"]).pipe(
    Stream.runForEach((list) => Effect.sync(() => seen.push(ids(list)))),
    Effect.provideService(Dns.Resolver, resolver),
    Effect.forkScoped
  )
  yield* TestClock.adjust(0)
  return seen
})

const quiet = Effect.provideService(References.MinimumLogLevel, "None")

describe("Dns.watch", () => {
  it.effect("lists the addresses of a host, and asks again when the answer has run out", () =>
    Effect.gen(function* () {
      const { resolver, self } = make()
      self.hosts = { "greeter.local": ["10.0.0.2", "10.0.0.1", "2001:db8::1"] }
      const seen = yield* follow({ host: "greeter.local", port: 9000 }, resolver)
      assert.deepStrictEqual(seen, ["10.0.0.1:9000,10.0.0.2:9000,[2001:db8::1]:9000"])
      self.hosts = { "greeter.local": ["10.0.0.3"] }
      // nine tenths of ten seconds at least, eleven tenths at most
      yield* TestClock.adjust(8999)
      assert.lengthOf(seen, 1)
      yield* TestClock.adjust(2001)
      assert.strictEqual(seen.at(-1), "10.0.0.3:9000")
      // the same answer is no change
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(seen, 2)
      self.hosts = {}
      yield* TestClock.adjust("11 seconds")
      assert.strictEqual(seen.at(-1), "")
    }).pipe(Effect.scoped, Random.withSeed("ttl"), quiet)
  )

  it.effect("asks neither all the time nor never, whatever an answer says", () =>
    Effect.gen(function* () {
      for (const [ttl, least, most] of [
        [0, 100, 140],
        [1_000_000, 18, 24],
        [undefined, 18, 24]
      ] as const) {
        const { resolver, self } = make()
        self.ttl = ttl
        yield* Effect.scoped(
          Effect.andThen(
            follow({ host: "a", port: 1 }, resolver),
            Effect.suspend(() => TestClock.adjust("10 minutes"))
          )
        )
        assert.isAtLeast(self.questions, least)
        assert.isAtMost(self.questions, most)
      }
    }).pipe(Random.withSeed("limits"), quiet)
  )

  it.effect("lists what SRV records of the first priority lead to, with their ports and weights", () =>
    Effect.gen(function* () {
      const { resolver, self } = make()
      self.services = {
        "_grpc._tcp.greeter": [
          { host: "a", port: 1, priority: 10, weight: 5 },
          { host: "b", port: 2, priority: 10, weight: 0 },
          { host: "c", port: 3, priority: 20, weight: 5 }
        ]
      }
      self.hosts = { a: ["10.0.0.1"], b: ["10.0.0.2"], c: ["10.0.0.3"] }
      const context = yield* Layer.build(Dns.layer({ greeter: { srv: "_grpc._tcp.greeter" } }))
      const { get, watch } = Context.get(context, Discovery)
      const list = yield* Effect.provideService(get("greeter"), Dns.Resolver, resolver)
      assert.deepStrictEqual(
        list.map(({ endpoints, metadata }) => [endpoints[1], metadata["weight"]]),
        [
          ["grpc://10.0.0.1:1", "5"],
          ["grpc://10.0.0.2:2", undefined]
        ]
      )
      assert.deepStrictEqual(yield* get("nobody"), [])
      const first = yield* Stream.runHead(watch("nobody"))
      assert.deepStrictEqual(first._tag === "Some" ? first.value : undefined, [])
    }).pipe(Effect.scoped)
  )

  it.effect("keeps the last answer while the resolver fails, and fails when it has never had one", () =>
    Effect.gen(function* () {
      const { resolver, self } = make()
      self.hosts = { a: ["10.0.0.1"] }
      const seen = yield* follow({ host: "a", port: 1 }, resolver)
      self.down = true
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(seen, ["10.0.0.1:1"])
      self.hosts = { a: ["10.0.0.2"] }
      self.down = false
      yield* TestClock.adjust("11 seconds")
      assert.strictEqual(seen.at(-1), "10.0.0.2:1")
      self.down = true
      const error = yield* Effect.flip(
        Effect.provideService(Stream.runDrain(Dns.watch("greeter", { host: "a", port: 1 }, ["grpc"])), Dns.Resolver, resolver)
      )
      assert.strictEqual(error._tag, "RegistryError")
    }).pipe(Effect.scoped, Random.withSeed("down"), quiet)
  )
})

describe("dns:/// targets", () => {
  it("are one host with a port, or the name of SRV records", () => {
    assert.deepStrictEqual(Target.parse("dns:///a.b:90"), { _tag: "Dns", name: "a.b:90", question: { host: "a.b", port: 90 } })
    assert.deepStrictEqual(Target.parse("dns:///_grpc._tcp.a"), { _tag: "Dns", name: "_grpc._tcp.a", question: { srv: "_grpc._tcp.a" } })
    for (const text of ["dns:///", "dns:///a", "dns:///a:1,b:2", "dns:a"]) assert.strictEqual(Target.parse(text)._tag, "Invalid", text)
  })

  it.effect("lead calls to all addresses of the name", () =>
    Effect.gen(function* () {
      const { resolver, self } = make()
      self.hosts = { greeter: ["10.0.0.1", "10.0.0.2"] }
      const counts = [0, 0]
      const first = yield* serve({
        host: "10.0.0.1",
        port: 9000,
        implementation: implement({ unary: () => Effect.sync(() => (counts[0]!++, {})) })
      })
      yield* serve({
        host: "10.0.0.2",
        port: 9000,
        wire: { name: "memory", network: Layer.succeed(Network.Network, first.network) },
        implementation: implement({ unary: () => Effect.sync(() => (counts[1]!++, {})) })
      })
      const client = Echo.client("dns:///greeter:9000").pipe(
        Layer.provide(Channels.layerDirect),
        Layer.provide(Layer.succeed(Network.Network, first.network)),
        Layer.provide(Layer.succeed(Dns.Resolver, resolver))
      )
      const echo = Context.get(yield* Layer.build(client), Echo)
      for (let i = 0; i < 20; i++) yield* echo.unary({})
      assert.isAbove(Math.min(...counts), 0)
      assert.strictEqual(counts[0]! + counts[1]!, 20)
    }).pipe(Effect.scoped)
  )
})
