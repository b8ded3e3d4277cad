import * as Directory from "@effect-kratos/core/registry/Directory"
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as Queue from "effect/Queue"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

const instance = ServiceInstance.make({ id: "1", name: "greeter", version: "1.0.0", endpoints: ["grpc://127.0.0.1:9000"] })
const text = ServiceInstance.encode(instance)
const everyMoment = Schedule.spaced("1 millis")
const ids = (list: ReadonlyArray<ServiceInstance.ServiceInstance>) => list.map(({ id }) => id).join()

/** A process of its own on the directory `root`. */
const open = Effect.fnUntraced(function* (root: string, options: Omit<Directory.Options, "path"> = {}) {
  const context = yield* Layer.build(Layer.fresh(Directory.layer({ path: root, ttl: "1 minute", ...options })))
  const { register } = Context.get(context, Registrar)
  const { get, watch } = Context.get(context, Discovery)
  /** Waits until the list of `name` has exactly these ids. */
  const until = (name: string, expected: string) => Stream.runHead(Stream.filter(watch(name), (list) => ids(list) === expected))
  return { register, get, watch, until }
})

type Body<A, E> = (fs: FileSystem.FileSystem, root: string) => Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>

const test = <A, E>(text: string, body: Body<A, E>) =>
  it.live(text, () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      return yield* body(fs, yield* fs.makeTempDirectoryScoped({ prefix: "registry-" }))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer), Effect.provideService(References.MinimumLogLevel, "None"))
  )

describe("Directory", () => {
  test("shares the directory between processes and writes what Kratos writes", (fs, root) =>
    Effect.gen(function* () {
      const a = yield* open(root)
      const b = yield* open(root)
      yield* a.register(instance)
      yield* b.until("greeter", "1")
      assert.deepStrictEqual(yield* fs.readDirectory(root), ["greeter"])
      assert.deepStrictEqual(yield* fs.readDirectory(`${root}/greeter`), ["1.json"])
      assert.strictEqual(yield* fs.readFileString(`${root}/greeter/1.json`), text)
    }))

  test("skips and removes what a killed process left behind", (fs, root) =>
    Effect.gen(function* () {
      yield* fs.makeDirectory(`${root}/greeter`)
      for (const name of ["1.json", ".aside.tmp"]) {
        yield* fs.writeFileString(`${root}/greeter/${name}`, text)
        yield* fs.utimes(`${root}/greeter/${name}`, 1000, 1000)
      }
      const { get, register } = yield* open(root)
      yield* register({ ...instance, id: "2" })
      assert.strictEqual(ids(yield* get("greeter")), "2")
      assert.deepStrictEqual(yield* fs.readDirectory(`${root}/greeter`), ["2.json"])
    }))

  test("tells a watcher when an instance is no longer renewed", (fs, root) =>
    Effect.gen(function* () {
      const { until } = yield* open(root, { ttl: "200 millis", poll: "10 millis" })
      yield* fs.makeDirectory(`${root}/greeter`)
      yield* fs.writeFileString(`${root}/greeter/1.json`, text)
      yield* until("greeter", "1")
      yield* until("greeter", "")
    }))

  test("keeps its own instance alive for longer than the time to live", (fs, root) =>
    Effect.gen(function* () {
      const a = yield* open(root, { heartbeat: "10 millis" })
      yield* a.register(instance)
      yield* fs.utimes(`${root}/greeter/1.json`, 1000, 1000)
      const renewed = Stream.fromEffectSchedule(fs.stat(`${root}/greeter/1.json`), everyMoment).pipe(
        Stream.filter(({ mtime }) => mtime._tag === "Some" && mtime.value.getTime() > 1_000_000)
      )
      yield* Stream.runHead(renewed)
      assert.strictEqual(ids(yield* a.get("greeter")), "1")
    }))

  test("writes its file again when someone deleted it, or the whole directory", (fs, root) =>
    Effect.gen(function* () {
      const path = `${root}/registry`
      const { register, until } = yield* open(path, { heartbeat: "10 millis", poll: "10 millis" })
      yield* register(instance)
      yield* fs.remove(`${path}/greeter/1.json`)
      yield* until("greeter", "1")
      // gone in one step: deleting file by file would race with the writing
      yield* fs.rename(path, `${root}/gone`)
      yield* until("greeter", "1")
      assert.strictEqual(yield* fs.readFileString(`${path}/greeter/1.json`), text)
    }))

  test("does not bring its file back after the registration has ended", (fs, root) =>
    Effect.gen(function* () {
      const { register } = yield* open(root, { heartbeat: "1 millis" })
      for (let i = 0; i < 20; i++) {
        const scope = yield* Scope.make()
        yield* Scope.provide(register(instance), scope)
        yield* fs.remove(`${root}/greeter/1.json`)
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* fs.readDirectory(`${root}/greeter`), [])
      }
    }))

  test("waits for a write that is under way before it removes the file", (fs, root) =>
    Effect.gen(function* () {
      const renaming = yield* Deferred.make<void>()
      let slow = false
      let renamed: Promise<void> | undefined
      // as in a thread pool: once begun, a rename goes on whether anyone waits for it or not
      const rename = (from: string, to: string) =>
        Effect.suspend(() => {
          if (!slow) return fs.rename(from, to)
          const done = Effect.runPromise(Effect.delay(fs.rename(from, to), "20 millis"))
          renamed ??= done
          return Effect.andThen(
            Deferred.succeed(renaming, undefined),
            Effect.promise(() => done)
          )
        })
      const { register } = yield* Effect.provideService(open(root, { heartbeat: "1 millis" }), FileSystem.FileSystem, { ...fs, rename })
      const scope = yield* Scope.make()
      yield* Scope.provide(register(instance), scope)
      slow = true
      yield* fs.remove(`${root}/greeter/1.json`)
      yield* Deferred.await(renaming)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* fs.readDirectory(`${root}/greeter`), [])
      yield* Effect.promise(() => renamed!)
      assert.deepStrictEqual(yield* fs.readDirectory(`${root}/greeter`), [])
    }))

  test("writes again only what was registered last under an id", (fs, root) =>
    Effect.gen(function* () {
      const { register } = yield* open(root, { heartbeat: "1 millis" })
      yield* register(instance)
      yield* register({ ...instance, version: "2.0.0" })
      for (let i = 0; i < 10; i++) {
        yield* fs.remove(`${root}/greeter/1.json`)
        const content = yield* Effect.retry(fs.readFileString(`${root}/greeter/1.json`), everyMoment)
        assert.include(content, "2.0.0")
      }
    }))

  test("goes on watching when the directory is replaced by another", (fs, root) =>
    Effect.gen(function* () {
      const watched = yield* Queue.unbounded<void>()
      const watch: FileSystem.FileSystem["watch"] = (path, options) =>
        fs.watch(path, {
          ...options,
          onReady: () => {
            options?.onReady?.()
            Queue.offerUnsafe(watched, undefined)
          }
        })
      const path = `${root}/registry`
      const reader = yield* Effect.provideService(open(path, { poll: "20 millis" }), FileSystem.FileSystem, { ...fs, watch })
      const watching = yield* Effect.forkChild(Stream.runDrain(reader.watch("greeter")))
      yield* Queue.take(watched)
      yield* fs.rename(path, `${root}/gone`)
      yield* fs.makeDirectory(`${path}/greeter`, { recursive: true })
      yield* Queue.take(watched)
      yield* Fiber.interrupt(watching)
    }))

  test("sees what was registered while the watcher was being set up", (fs, root) =>
    Effect.gen(function* () {
      const listed = yield* Deferred.make<void>()
      const other = yield* open(root)
      const scope = yield* Effect.scope
      const watch: FileSystem.FileSystem["watch"] = (path, options) =>
        Stream.unwrap(
          Deferred.await(listed).pipe(
            Effect.andThen(Effect.orDie(Scope.provide(other.register(instance), scope))),
            Effect.as(fs.watch(path, options))
          )
        )
      const { watch: lists } = yield* Effect.provideService(open(root, { poll: "1 hour" }), FileSystem.FileSystem, { ...fs, watch })
      const found = yield* lists("greeter").pipe(
        Stream.tap(() => Deferred.succeed(listed, undefined)),
        Stream.filter((list) => list.length > 0),
        Stream.runHead
      )
      assert.strictEqual(found._tag, "Some")
    }))

  test("takes heartbeats for no change", (fs, root) =>
    Effect.gen(function* () {
      const beats = yield* Queue.unbounded<void>()
      const utimes: FileSystem.FileSystem["utimes"] = (...args) => Effect.andThen(fs.utimes(...args), Queue.offer(beats, undefined))
      const { register, watch } = yield* Effect.provideService(open(root, { heartbeat: "1 millis" }), FileSystem.FileSystem, {
        ...fs,
        utimes
      })
      yield* register(instance)
      const seen = yield* Deferred.make<void>()
      const lists: Array<string> = []
      const watching = yield* watch("greeter").pipe(
        Stream.tap((list) =>
          Effect.andThen(
            Effect.sync(() => lists.push(ids(list))),
            Deferred.succeed(seen, undefined)
          )
        ),
        Stream.takeUntil((list) => list.length === 2),
        Stream.runDrain,
        Effect.forkChild
      )
      yield* Deferred.await(seen)
      yield* Queue.takeN(beats, 20)
      yield* register({ ...instance, id: "2" })
      yield* Fiber.join(watching)
      assert.deepStrictEqual(lists, ["1", "1,2"])
    }))

  it.effect("goes by the clock of the program", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const { get, register } = yield* open(yield* fs.makeTempDirectoryScoped({ prefix: "registry-" }))
      yield* TestClock.setTime(4_000_000_000_000)
      yield* register(instance)
      assert.strictEqual(ids(yield* get("greeter")), "1")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  test("leaves the file alone when another process has taken the id over", (_fs, root) =>
    Effect.gen(function* () {
      const a = yield* open(root)
      const b = yield* open(root)
      const scope = yield* Scope.make()
      yield* Scope.provide(a.register(instance), scope)
      yield* b.register({ ...instance, version: "2.0.0" })
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(
        (yield* b.get("greeter")).map(({ version }) => version),
        ["2.0.0"]
      )
    }))

  test("skips broken files and lists the rest", (fs, root) =>
    Effect.gen(function* () {
      const { get, register } = yield* open(root)
      yield* register(instance)
      const bad = {
        "half.json": text.slice(0, 20),
        "empty.json": "",
        "array.json": "[]",
        "wrong-type.json": `{"id":1,"name":"greeter"}`,
        "no-id.json": `{"name":"greeter"}`,
        "other-name.json": `{"id":"9","name":"other"}`,
        "large.json": `{"id":"9","name":"greeter","version":"${"x".repeat(1_000_000)}"}`,
        "note.txt": text
      }
      for (const [name, content] of Object.entries(bad)) yield* fs.writeFileString(`${root}/greeter/${name}`, content)
      yield* fs.makeDirectory(`${root}/greeter/directory.json`)
      assert.strictEqual(ids(yield* get("greeter")), "1")
    }))

  test("refuses names and ids that cannot be files, and instances that readers would refuse", (fs, root) =>
    Effect.gen(function* () {
      const { get, register, watch } = yield* open(root)
      const metadata = Object.fromEntries(Array.from({ length: ServiceInstance.maxEntries + 1 }, (_, i) => [`k${i}`, ""]))
      const bad = [{ name: "" }, { id: "" }, { name: "x".repeat(300) }, { id: "ü".repeat(100) }, { metadata }]
      for (const props of bad) {
        const error = yield* Effect.flip(register({ ...instance, ...props }))
        assert.strictEqual(error._tag, "RegistryError")
        assert.strictEqual(error.method, "register")
      }
      assert.strictEqual((yield* Effect.flip(get("")))._tag, "RegistryError")
      assert.strictEqual((yield* Effect.flip(Stream.runHead(watch(""))))._tag, "RegistryError")
      assert.deepStrictEqual(yield* fs.readDirectory(root), [])
    }))

  test("keeps everything inside the directory", (fs, root) =>
    Effect.gen(function* () {
      const inside = `${root}/inside`
      const { register } = yield* open(inside)
      yield* register({ ...instance, name: "../up", id: "../../up" })
      yield* register({ ...instance, name: "..", id: ".." })
      yield* register({ ...instance, name: "/etc", id: "a\0b" })
      assert.deepStrictEqual(yield* fs.readDirectory(root), ["inside"])
      assert.deepStrictEqual((yield* fs.readDirectory(inside)).toSorted(), ["%2E.", "%2E.%2Fup", "%2Fetc"])
    }))

  test("fails when the directory cannot be written", (fs, root) =>
    Effect.gen(function* () {
      yield* fs.writeFileString(`${root}/file`, "")
      const { get, register } = yield* open(`${root}/file`)
      assert.strictEqual((yield* Effect.flip(register(instance))).method, "register")
      assert.strictEqual((yield* Effect.flip(get("greeter"))).method, "get")
    }))

  test("is made from configuration", (_fs, root) =>
    Effect.gen(function* () {
      const config = Directory.layerConfig({ path: Config.String("REGISTRY_PATH") })
      const provider = ConfigProvider.layer(ConfigProvider.fromUnknown({ REGISTRY_PATH: root }))
      const context = yield* Layer.build(Layer.provide(config, provider))
      yield* Context.get(context, Registrar).register(instance)
      const { get } = yield* open(root)
      assert.strictEqual(ids(yield* get("greeter")), "1")
    }))
})
