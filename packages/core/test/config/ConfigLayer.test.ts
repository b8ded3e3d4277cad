import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { TestClock, TestConsole } from "effect/testing"
import * as ConfigLayer from "../../src/config/ConfigLayer.ts"
import * as ConfigSource from "../../src/config/ConfigSource.ts"
import { ConfigStore, layer } from "../../src/config/ConfigStore.ts"
import * as PrintConfig from "../../src/config/PrintConfig.ts"

class Db extends Context.Service<Db, { readonly url: string; readonly isOpen: () => boolean }>()("test/Db") {}

describe("ConfigLayer", () => {
  it.effect("builds again what reads a changed part; calls in flight keep the old one; a failed build leaves the good one", () =>
    Effect.gen(function* () {
      const tree = yield* SubscriptionRef.make<Record<string, unknown>>({ db: { url: "a" }, other: 1 })
      const list = (value: unknown) => [{ key: "t", value: JSON.stringify(value), format: "json" }]
      const source = {
        name: "t",
        load: Effect.map(SubscriptionRef.get(tree), list),
        changes: Stream.map(SubscriptionRef.changes(tree), list)
      }
      const built: Array<string> = []
      const connect = (url: string) =>
        Layer.effect(
          Db,
          Effect.gen(function* () {
            built.push(url)
            if (url === "bad") return yield* Effect.fail("cannot connect" as const)
            let open = true
            yield* Effect.addFinalizer(() => Effect.sync(() => (open = false)))
            return Db.of({ url, isOpen: () => open })
          })
        )
      yield* Effect.gen(function* () {
        const ref = yield* ConfigLayer.make(Config.String("url").pipe(Config.nested("db")), connect)
        const url = Effect.provide(
          Effect.map(Db, (db) => db.url),
          ref.get
        )
        const store = yield* ConfigStore
        const change = (value: Record<string, unknown>, builds: number) =>
          SubscriptionRef.set(tree, value).pipe(
            Effect.andThen(Stream.runHead(Stream.filter(store.snapshots, (snapshot) => Equal.equals(snapshot.tree, value)))),
            Effect.andThen(Effect.repeat(Effect.yieldNow, { until: () => built.length >= builds })),
            Effect.andThen(TestClock.adjust(0))
          )

        const release = yield* Deferred.make<void>()
        const inFlight = yield* Effect.gen(function* () {
          const db = yield* Db
          yield* Deferred.await(release)
          return [db.url, db.isOpen()] as const
        }).pipe(Effect.provide(ref.get), Effect.forkChild({ startImmediately: true }))

        yield* change({ db: { url: "a" }, other: 2 }, 1)
        assert.deepStrictEqual(built, ["a"], "another part has changed")
        yield* change({ db: { url: "b" }, other: 2 }, 2)
        assert.strictEqual(yield* url, "b")
        yield* change({ db: { url: "bad" } }, 3)
        assert.strictEqual(yield* url, "b")
        yield* Deferred.succeed(release, undefined)
        assert.deepStrictEqual(yield* Fiber.join(inFlight), ["a", true])
        yield* change({ db: { url: "c" } }, 5)
        assert.strictEqual(yield* url, "c")
        assert.deepStrictEqual(built, ["a", "b", "bad", "b", "c"])
      }).pipe(Effect.scoped, Effect.provide(layer({ sources: [source] })))
    })
  )
})

describe("--print-config", () => {
  const config = layer({
    sources: [
      ConfigSource.fromUnknown(
        { server: { port: 8000, hosts: ["a"] }, db: { url: "postgres://me:hunter2@host/db", password: "hunter2" } },
        "defaults"
      ),
      ConfigSource.secret(ConfigSource.fromUnknown({ tls: { pem: "hunter2" } }, "vault")),
      ConfigSource.fromEnv({ variables: { "server.port": "9000", "custom.thing": "hunter2" } })
    ]
  })
  const main = Effect.succeed("ran").pipe(PrintConfig.orRun({ secrets: ["custom"] }), Effect.provide(config))
  const args = (args: ReadonlyArray<string>) => Stdio.layerTest({ args: Effect.succeed(args) })

  it.effect("shows each value with its source, and no secret, in place of running", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.provide(main, args(["--print-config"])), undefined)
      const text = (yield* TestConsole.logLines).join("\n")
      assert.notInclude(text, "hunter2")
      assert.deepStrictEqual(
        text.split("\n").map((line) => line.replace(/ +#/, " #")),
        [
          'server.port = "9000" # environment, server.port',
          'server.hosts = ["a"] # defaults',
          'db.url = "postgres://me:<redacted>@host/db" # defaults',
          "db.password = <redacted> # defaults",
          "tls.pem = <redacted> # vault",
          "custom.thing = <redacted> # environment, custom.thing"
        ]
      )
    })
  )
  it.effect("runs the program without the flag", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.provide(main, args([])), "ran")
    })
  )
})
