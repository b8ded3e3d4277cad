import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as Registration from "@effect-kratos/core/registry/Registration"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Fault from "@effect-kratos/testing/Fault"
import * as FaultProxy from "@effect-kratos/testing/FaultProxy"
import * as Program from "@effect-kratos/testing/Program"
import * as RegistryLaws from "@effect-kratos/testing/RegistryLaws"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import { inspect } from "node:util"
import * as Zookeeper from "../src/Zookeeper.ts"
import * as ZookeeperRegistry from "../src/ZookeeperRegistry.ts"
import * as Peer from "./Peer.ts"
import { layer, make, makeEnsemble, skip, ZookeeperServer } from "./ZookeeperServer.ts"

const sessionTimeout = 4000
const fixture = fileURLToPath(new URL("fixtures/register.ts", import.meta.url))
const password = "hunter2"
let places = 0

const place = Effect.gen(function* () {
  const { daemon, endpoint, port } = yield* ZookeeperServer
  const proxy = yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port } })
  const credentials = { username: "greeter", password: Redacted.make(password) }
  const operator = Context.get(
    yield* Layer.build(Layer.fresh(Zookeeper.layer({ endpoints: [endpoint], ...credentials }))),
    Zookeeper.Zookeeper
  )
  const rootPath = `/laws/of/${places++}`
  return {
    connect: Layer.build(
      Layer.fresh(
        ZookeeperRegistry.layer({
          endpoints: [`127.0.0.1:${proxy.address.port}`],
          rootPath,
          sessionTimeout,
          settle: "5 seconds",
          timeout: "2 seconds",
          ...credentials
        })
      )
    ),
    forget: ({ id, name }: ServiceInstance.ServiceInstance) => operator.remove(`${rootPath}/${name}/${id}`),
    killed: (instance: ServiceInstance.ServiceInstance) =>
      Effect.gen(function* () {
        const program = yield* Program.node(
          fixture,
          [endpoint, rootPath, String(sessionTimeout), password, ServiceInstance.encode(instance)],
          {
            ready: (line) => (line === "registered" ? true : undefined)
          }
        )
        yield* program.kill
      }),
    restart: Effect.andThen(daemon.kill, daemon.start),
    cut: proxy.add(Fault.down),
    secrets: [password]
  }
})

RegistryLaws.suite("zookeeper", place, layer, {
  skip,
  patience: "40 seconds",
  names: ["helloworld.v1.Greeter", "shop_cart-2", "two words", "bücher", "a%2Fb", ".hidden", "...", "zookeeper", "x".repeat(100)]
})

const registry = (options: Zookeeper.Options & ZookeeperRegistry.Options) =>
  Effect.map(Layer.build(Layer.fresh(ZookeeperRegistry.layer(options))), (context) => ({
    register: Context.get(context, Registrar).register,
    get: Context.get(context, Discovery).get,
    watch: Context.get(context, Discovery).watch
  }))
const client = (options: Zookeeper.Options) =>
  Effect.map(Layer.build(Layer.fresh(Zookeeper.layer(options))), (context) => Context.get(context, Zookeeper.Zookeeper))

const instance = ServiceInstance.make({
  id: "7f3",
  name: "hello",
  version: "v1",
  metadata: { b: "<&>", a: "ü" },
  endpoints: ["http://127.0.0.1:8000", "grpc://127.0.0.1:9000"]
})
const json =
  '{"id":"7f3","name":"hello","version":"v1","metadata":{"a":"ü","b":"\\u003c\\u0026\\u003e"},"endpoints":["http://127.0.0.1:8000","grpc://127.0.0.1:9000"]}'

/** Until what an effect finds is as it should be. */
const eventually = <A, E>(find: Effect.Effect<A, E>, holds: (found: A) => boolean) =>
  Effect.repeat(find, { until: holds, schedule: Schedule.spaced("20 millis") }).pipe(Effect.timeout("30 seconds"))

const title = (text: string, skip: string | undefined) => `${text}${skip === undefined ? "" : ` (skipped: ${skip})`}`

describe.skipIf(skip !== undefined)(title("zookeeper registry", skip), () => {
  it.layer(layer, { excludeTestServices: true, timeout: "1 minute" })((it) => {
    it.effect.skipIf(Peer.missing !== undefined)(title("writes what Kratos writes: nodes, owners, access lists", Peer.missing), () =>
      Effect.gen(function* () {
        const { endpoint } = yield* ZookeeperServer
        const anyone = [[31, "world", "anyone"] as const]
        const { register } = yield* registry({ endpoints: [endpoint] })
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* register(instance)
            assert.deepStrictEqual(yield* Peer.dump(endpoint, "/microservices"), [
              { path: "/microservices", data: "", ephemeral: false, acl: anyone },
              { path: "/microservices/hello", data: "", ephemeral: false, acl: anyone },
              { path: "/microservices/hello/7f3", data: json, ephemeral: true, acl: anyone }
            ])
          })
        )
        assert.lengthOf(yield* Peer.dump(endpoint, "/microservices"), 2)

        // the digest of greeter:hunter2, base64 of its SHA-1
        const digest = [[31, "digest", "greeter:KmlgVEjOz+tAjQHB2Sazu2vx0Iw="] as const]
        const closed = yield* registry({
          endpoints: [endpoint],
          rootPath: "/closed/to/most/",
          username: "greeter",
          password: Redacted.make(password)
        })
        yield* closed.register(instance)
        assert.deepStrictEqual(
          (yield* Peer.dump(endpoint, "/closed", `greeter:${password}`)).map(({ acl, ephemeral, path }) => ({ path, ephemeral, acl })),
          ["/closed", "/closed/to", "/closed/to/most", "/closed/to/most/hello", "/closed/to/most/hello/7f3"].map((path) => ({
            path,
            ephemeral: path.endsWith("7f3"),
            acl: digest
          }))
        )
      }).pipe(Effect.scoped)
    )
    it.effect.skipIf(Peer.missing !== undefined)(title("reads what Kratos writes, and skips what is no instance", Peer.missing), () =>
      Effect.gen(function* () {
        const { endpoint } = yield* ZookeeperServer
        const { get, watch } = yield* registry({ endpoints: [endpoint], rootPath: "/read" })
        const [one] = [ServiceInstance.make({ id: "1", name: "go", endpoints: ["grpc://10.0.0.1:9000"] })]
        yield* Peer.put(endpoint, "/read/go/1", '{"id":"1","name":"go","version":"","metadata":null,"endpoints":["grpc://10.0.0.1:9000"]}')
        yield* Peer.put(endpoint, "/read/go/2", "not an instance")
        yield* Peer.put(endpoint, "/read/go/3", '{"id":"3","name":"other","version":"","metadata":null,"endpoints":null}')
        yield* Peer.put(endpoint, "/read/go/4", "")
        assert.deepStrictEqual(yield* get("go"), [one])
        assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(watch("go"), 1)), [[one]])
      }).pipe(Effect.scoped)
    )
    it.effect("a node that is there for others alone is left out", () =>
      Effect.gen(function* () {
        const { endpoint } = yield* ZookeeperServer
        const stranger = yield* client({ endpoints: [endpoint], username: "stranger", password: Redacted.make("x") })
        const { get, register, watch } = yield* registry({ endpoints: [endpoint], rootPath: "/shared" })
        yield* register(instance)
        yield* stranger.create("/shared/hello/closed", new Uint8Array(0))
        assert.deepStrictEqual(yield* get("hello"), [instance])
        assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(watch("hello"), 1)), [[instance]])
      }).pipe(Effect.scoped)
    )
    it.effect("names that are no nodes are refused, for good", () =>
      Effect.gen(function* () {
        const { endpoint } = yield* ZookeeperServer
        const { get, register, watch } = yield* registry({ endpoints: [endpoint], rootPath: "/names" })
        for (const name of ["a/b", "", ".", "..", "../up", "a\nb", "\u{1f600}"]) {
          const byId = yield* Effect.flip(Effect.scoped(register(ServiceInstance.make({ id: name, name: "a" }))))
          const byName = yield* Effect.flip(Effect.scoped(register(ServiceInstance.make({ id: "1", name }))))
          const got = yield* Effect.flip(get(name))
          const watched = yield* Effect.flip(Stream.runDrain(watch(name)))
          for (const error of [byId, byName, got, watched]) assert.deepInclude(error, { _tag: "RegistryError", permanent: true })
        }
        const zookeeper = yield* client({ endpoints: [endpoint] })
        assert.isUndefined(yield* zookeeper.exists("/names"))
      }).pipe(Effect.scoped)
    )
    it.effect("a wrong password is a typed error, for good, that does not tell it", () =>
      Effect.gen(function* () {
        const { endpoint } = yield* ZookeeperServer
        const options = (text: string) => ({
          endpoints: [endpoint],
          rootPath: "/password",
          username: "greeter",
          password: Redacted.make(text)
        })
        const right = yield* registry(options(password))
        yield* right.register(instance)
        const wrong = yield* registry(options("hunter3"))
        const errors = [
          yield* Effect.flip(wrong.get("hello")),
          yield* Effect.flip(Effect.scoped(wrong.register({ ...instance, id: "8" }))),
          yield* Effect.flip(Effect.scoped(wrong.register(instance))),
          yield* Effect.flip(Stream.runDrain(wrong.watch("hello")))
        ]
        for (const error of errors) {
          assert.deepInclude(error, { _tag: "RegistryError", permanent: true })
          assert.match(error.message, /not allowed with these credentials/)
          assert.notMatch(inspect(error) + JSON.stringify(error) + error.stack, /hunter/)
        }
        assert.deepStrictEqual(yield* right.get("hello"), [instance])
      }).pipe(Effect.scoped)
    )
    it.effect("what leaves while the servers are away is gone when they are back, though the session lives on", () =>
      Effect.gen(function* () {
        const { endpoint, port } = yield* ZookeeperServer
        const proxy = yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port } })
        const { register } = yield* registry({
          endpoints: [`127.0.0.1:${proxy.address.port}`],
          rootPath: "/leaves",
          sessionTimeout: "10 seconds",
          timeout: "600 millis"
        })
        const statuses: Array<string> = []
        const zookeeper = yield* client({ endpoints: [endpoint] })
        const owner = (id: string) => Effect.map(zookeeper.exists(`/leaves/hello/${id}`), (stat) => stat?.ephemeralOwner)
        yield* Effect.provideService(
          register({ ...instance, id: "stays" }),
          Registration.onState,
          ({ status }) => void statuses.push(status)
        )
        const before = yield* owner("stays")
        const scope = yield* Scope.make()
        yield* Scope.provide(register({ ...instance, id: "leaves" }), scope)
        const leaving = yield* Effect.scoped(
          Effect.gen(function* () {
            yield* proxy.add(Fault.down)
            const fiber = yield* Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
            yield* Effect.sleep("2500 millis") // of the server's own time: longer than several calls may take, shorter than the session
            assert.isDefined(yield* owner("leaves"))
            return fiber
          })
        )
        yield* eventually(owner("leaves"), (there) => there === undefined)
        yield* Fiber.join(leaving)
        assert.strictEqual(yield* owner("stays"), before)
        assert.deepStrictEqual(statuses, ["registering", "registered"])
      }).pipe(Effect.scoped)
    )
    it.effect("a session that has expired is followed by another, which registers again", () =>
      Effect.gen(function* () {
        const { endpoint, port } = yield* ZookeeperServer
        const proxy = yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port } })
        const { register } = yield* registry({
          endpoints: [`127.0.0.1:${proxy.address.port}`],
          rootPath: "/expires",
          sessionTimeout: "1 second"
        })
        const zookeeper = yield* client({ endpoints: [endpoint] })
        const owner = Effect.map(zookeeper.exists("/expires/hello/7f3"), (stat) => stat?.ephemeralOwner)
        const statuses: Array<string> = []
        yield* Effect.provideService(register(instance), Registration.onState, ({ status }) => void statuses.push(status))
        const before = yield* owner
        assert.isDefined(before)
        yield* proxy.during(Fault.down)(eventually(owner, (there) => there === undefined))
        const after = yield* eventually(owner, (there) => there !== undefined)
        assert.notStrictEqual(after, before)
        // after a while of chance: not all processes in the same moment
        assert.include(statuses, "lost")
      }).pipe(Effect.scoped)
    )
    it.effect("a node that another process takes over is left to it, and taken back when that has gone", () =>
      Effect.gen(function* () {
        const { endpoint } = yield* ZookeeperServer
        const first = yield* registry({ endpoints: [endpoint], rootPath: "/over" })
        const second = yield* registry({ endpoints: [endpoint], rootPath: "/over" })
        const versions = Effect.map(first.get("hello"), (list) => list.map(({ version }) => version).join())
        yield* first.register(instance)
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* second.register({ ...instance, version: "v2" })
            assert.strictEqual(yield* versions, "v2")
          })
        )
        yield* eventually(versions, (text) => text === "v1")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const scope = yield* Scope.make()
            yield* Scope.provide(first.register({ ...instance, id: "8" }), scope)
            yield* second.register({ ...instance, id: "8", version: "v2" })
            yield* Scope.close(scope, Exit.void)
            assert.strictEqual(yield* versions, "v1,v2")
          })
        )
      }).pipe(Effect.scoped)
    )
    it.effect("of two of one process the later one is put there again, and the earlier one when that has ended", () =>
      Effect.gen(function* () {
        const { endpoint } = yield* ZookeeperServer
        const { get, register } = yield* registry({ endpoints: [endpoint], rootPath: "/twice" })
        const operator = yield* client({ endpoints: [endpoint] })
        const versions = Effect.map(get("hello"), (list) => list.map(({ version }) => version).join())
        yield* register(instance)
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* register({ ...instance, version: "v2" })
            for (let i = 0; i < 10; i++) {
              yield* operator.remove("/twice/hello/7f3")
              assert.strictEqual(yield* eventually(versions, (text) => text !== ""), "v2")
            }
          })
        )
        yield* eventually(versions, (text) => text === "v1")
      }).pipe(Effect.scoped)
    )
  })
  it.live(
    "a member of an ensemble that dies: sessions move to another with all that is theirs",
    () =>
      Effect.gen(function* () {
        const members = yield* makeEnsemble
        const endpoints = members.map(({ endpoint }) => endpoint)
        const moves = yield* registry({ endpoints, sessionTimeout: "10 seconds" })
        const others = yield* Effect.forEach(members, ({ endpoint }) => client({ endpoints: [endpoint], sessionTimeout: "10 seconds" }))
        const owner = (of: Zookeeper.Zookeeper["Service"]) =>
          Effect.map(of.get("/microservices/hello/7f3"), (entry) => entry?.stat.ephemeralOwner)
        yield* eventually(Effect.exit(moves.get("hello")), Exit.isSuccess)
        yield* moves.register(instance)
        const lists = yield* Stream.toPull(moves.watch("hello"))
        assert.deepStrictEqual(yield* lists, [[instance]])
        const before = yield* owner(others[0]!)
        for (const [i, { daemon }] of members.entries()) {
          yield* daemon.kill
          yield* eventually(Effect.exit(moves.get("hello")), Exit.isSuccess)
          assert.strictEqual(yield* owner(others[(i + 1) % 3]!), before)
          yield* daemon.start
        }
        // the watch is in place again
        yield* moves.register({ ...instance, id: "8" })
        const [list] = yield* lists
        assert.deepStrictEqual(
          list.map(({ id }) => id),
          ["7f3", "8"]
        )
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    90_000
  )
  it.live(
    "a server that has lost its data gets all of it again",
    () =>
      Effect.gen(function* () {
        const { daemon, endpoint, wipe } = yield* make()
        const { get, register } = yield* registry({ endpoints: [endpoint], sessionTimeout: "2 seconds" })
        // more transactions than a new server has seen
        for (let i = 0; i < 20; i++) yield* Effect.scoped(register({ ...instance, id: String(i) }))
        yield* register(instance)
        yield* daemon.kill
        yield* wipe
        yield* daemon.start
        const list = yield* eventually(
          Effect.orElseSucceed(get("hello"), () => []),
          ({ length }) => length > 0
        )
        assert.deepStrictEqual(list, [instance])
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    60_000
  )
})
