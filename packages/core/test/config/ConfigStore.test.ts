import { assert, describe, expect, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { TestClock } from "effect/testing"
import * as App from "../../src/App.ts"
import * as Lifecycle from "../../src/Lifecycle.ts"
import * as ConfigSource from "../../src/config/ConfigSource.ts"
import { ConfigSourceError } from "../../src/config/ConfigSourceError.ts"
import * as ConfigStore from "../../src/config/ConfigStore.ts"

/** A source that a test writes, by JSON text. */
const writable = Effect.fnUntraced(function* (name: string, initial: unknown) {
  const text = yield* SubscriptionRef.make(JSON.stringify(initial))
  const list = (value: string) => [{ key: name, value, format: "json" }]
  const source: ConfigSource.ConfigSource = {
    name,
    load: Effect.map(SubscriptionRef.get(text), list),
    changes: Stream.map(SubscriptionRef.changes(text), list)
  }
  return {
    source,
    write: (value: unknown) => SubscriptionRef.set(text, JSON.stringify(value)),
    writeText: (value: string) => SubscriptionRef.set(text, value)
  }
})

const withStore = <A, E>(options: ConfigStore.Options, use: (store: ConfigStore.ConfigStore["Service"]) => Effect.Effect<A, E>) =>
  Effect.provide(Effect.flatMap(ConfigStore.ConfigStore, use), ConfigStore.layer(options))

const port = Config.Port("port")

/** Until `predicate` holds of the reports or snapshots that a stream tells. */
const until = <A, E>(stream: Stream.Stream<A, E>, predicate: (value: A) => boolean) =>
  Effect.flatMap(Stream.runHead(Stream.filter(stream, predicate)), (found) => Effect.fromOption(found))

describe("ConfigStore", () => {
  it.effect("later sources win, key by key", () =>
    withStore(
      {
        sources: [
          ConfigSource.fromUnknown({ a: { b: 1, c: 2 }, port: 80 }),
          ConfigSource.fromEnv({ prefixes: ["APP"], variables: { APP_port: "81", OTHER: "x", APP: "x" } }),
          ConfigSource.fromUnknown({ a: { c: 3 } })
        ]
      },
      (store) =>
        Effect.gen(function* () {
          expect((yield* store.snapshot).tree).toEqual({ a: { b: 1, c: 3 }, port: "81" })
          expect(yield* store.get(port)).toBe(81)
        })
    )
  )
  it.effect("environment names can be paths", () =>
    withStore({ sources: [ConfigSource.fromEnv({ separator: "__", variables: { SERVER__PORT: "1" } })] }, (store) =>
      Effect.map(store.get(Config.Int("port").pipe(Config.nested("server"))), (value) => expect(value).toBe(1))
    )
  )
  it.effect("is the ConfigProvider of what is built with it, as it is at that moment", () =>
    Effect.gen(function* () {
      const { source, write } = yield* writable("a", { port: 1 })
      yield* Effect.gen(function* () {
        const store = yield* ConfigStore.ConfigStore
        expect(yield* port).toBe(1)
        yield* write({ port: 2 })
        yield* until(store.snapshots, ({ version }) => version === 2)
        expect(yield* port).toBe(2)
      }).pipe(Effect.provide(ConfigStore.layer({ sources: [source] })))
    })
  )
  it.effect("a removed key disappears, and shows what it covered", () =>
    Effect.gen(function* () {
      const { source, write } = yield* writable("b", { port: 2, gone: 1 })
      yield* withStore({ sources: [ConfigSource.fromUnknown({ port: 1 }), source] }, (store) =>
        Effect.gen(function* () {
          yield* write({})
          expect((yield* until(store.snapshots, ({ version }) => version === 2)).tree).toEqual({ port: 1 })
        })
      )
    })
  )
  it.effect("does not start with a config that is not valid, and says where", () =>
    Effect.gen(function* () {
      const schema = Schema.Struct({ port: Schema.Int })
      const error = yield* Effect.flip(withStore({ sources: [ConfigSource.fromUnknown({ port: "x" })], schema }, () => Effect.void))
      expect(error._tag).toBe("ConfigError")
      expect(error.message).toMatch(/port/)
    })
  )
  it.effect("an invalid change is reported and the last good config stays; the next good one is taken", () =>
    Effect.gen(function* () {
      const { source, write, writeText } = yield* writable("a", { port: 1 })
      yield* withStore({ sources: [source], schema: Config.all({ port }) }, (store) =>
        Effect.gen(function* () {
          for (const bad of ['{"port":"x"}', "{", "[]", '{"port":70000}', "{}"]) {
            yield* writeText(bad)
            const report = yield* until(store.reports, ({ current }) => !current)
            expect(report.sources[0]!.error).toBeDefined()
            expect(yield* store.get(port)).toBe(1)
            yield* write({ port: 1 })
            yield* until(store.reports, ({ current }) => current)
          }
          expect((yield* store.snapshot).version).toBe(1)
          yield* write({ port: 2 })
          yield* until(store.snapshots, ({ version }) => version === 2)
          expect(yield* store.get(port)).toBe(2)
        })
      )
    })
  )
  it.effect("any number of observers; each hears of its part only, and guards it", () =>
    Effect.gen(function* () {
      const { source, write } = yield* writable("a", { port: 1, other: "x" })
      yield* withStore({ sources: [source] }, (store) =>
        Effect.gen(function* () {
          const heard: Array<string> = []
          const observe = (name: string) =>
            Stream.runForEach(store.watch(port), (value) => Effect.sync(() => heard.push(`${name}${value}`))).pipe(
              Effect.forkChild({ startImmediately: true })
            )
          const first = yield* observe("a")
          yield* observe("b")
          yield* write({ port: 1, other: "y" })
          yield* until(store.snapshots, ({ version }) => version === 2)
          yield* write({ port: 2, other: "y" })
          yield* until(store.snapshots, ({ version }) => version === 3)
          yield* TestClock.adjust(0)
          expect(heard).toEqual(["a1", "b1", "a2", "b2"])
          // what an observer could not decode is not put in place
          yield* write({ port: "no", other: "z" })
          yield* until(store.reports, ({ current }) => !current)
          expect((yield* store.snapshot).tree).toEqual({ port: 2, other: "y" })
          yield* Fiber.interrupt(first)
          yield* write({ port: 3, other: "y" })
          yield* until(store.snapshots, ({ version }) => version === 4)
          yield* TestClock.adjust(0)
          expect(heard).toEqual(["a1", "b1", "a2", "b2", "b3"])
        })
      )
    })
  )
  it.effect("a part that is not watched any more holds nothing back", () =>
    Effect.gen(function* () {
      const { source, write } = yield* writable("a", { port: 1 })
      yield* withStore({ sources: [source] }, (store) =>
        Effect.gen(function* () {
          yield* Stream.runHead(store.watch(port))
          yield* write({ port: "no" })
          yield* until(store.snapshots, ({ version }) => version === 2)
        })
      )
    })
  )
  it.effect("rolls back, and stays there until a source changes anew", () =>
    Effect.gen(function* () {
      const a = yield* writable("a", { port: 1 })
      const b = yield* writable("b", { x: 1 })
      yield* withStore({ sources: [a.source, b.source], history: 3 }, (store) =>
        Effect.gen(function* () {
          yield* a.write({ port: 2 })
          yield* until(store.snapshots, ({ version }) => version === 2)
          expect((yield* store.rollback(1)).version).toBe(3)
          expect(yield* store.get(port)).toBe(1)
          // the source says again what it said
          yield* a.write({ port: 2, same: undefined })
          yield* TestClock.adjust("10 seconds")
          expect(yield* store.get(port)).toBe(1)
          yield* a.write({ port: 4 })
          yield* until(store.snapshots, ({ version }) => version === 4)
          expect(yield* store.get(port)).toBe(4)
          expect((yield* store.history).map(({ version }) => version)).toEqual([2, 3, 4])
          const error = yield* Effect.flip(store.rollback(1))
          expect(error.message).toMatch(/no version 1, but 2, 3, 4/)
        })
      )
    })
  )
  it.effect("a source that fails is followed again, after growing pauses; what it said stays", () =>
    Effect.gen(function* () {
      let runs = 0
      const lists = yield* Queue.unbounded<string>()
      const source: ConfigSource.ConfigSource = {
        name: "flaky",
        load: Effect.succeed([{ key: "port", value: "1", format: "" }]),
        changes: Stream.suspend(() => {
          runs++
          return runs < 5
            ? Stream.fail(new ConfigSourceError({ source: "flaky", key: "", cause: new Error("away") }))
            : Stream.map(Stream.fromQueue(lists), (value) => [{ key: "port", value, format: "" }])
        })
      }
      yield* withStore({ sources: [source] }, (store) =>
        Effect.gen(function* () {
          const report = yield* until(store.reports, ({ current }) => !current)
          expect(report.sources[0]!.error).toBe("config: flaky: away")
          expect(runs).toBe(1)
          yield* TestClock.adjust("1200 millis")
          expect(runs).toBe(2)
          yield* TestClock.adjust("1 second")
          expect(runs).toBe(2)
          yield* TestClock.adjust("20 seconds")
          expect(runs).toBe(5)
          expect(yield* store.get(port)).toBe(1)
          yield* Queue.offer(lists, "2")
          yield* until(store.reports, ({ current }) => current)
          expect(yield* store.get(port)).toBe(2)
        })
      )
    })
  )
  it.effect("an optional source may be missing at the start, a needed one not", () =>
    Effect.gen(function* () {
      const missing: ConfigSource.ConfigSource = {
        name: "missing",
        load: Effect.fail(new ConfigSourceError({ source: "missing", key: "", cause: "gone" })),
        changes: Stream.never
      }
      const error = yield* Effect.flip(withStore({ sources: [missing] }, () => Effect.void))
      expect(error.message).toBe("config: missing: gone")
      expect(
        yield* withStore({ sources: [ConfigSource.optional(missing)] }, (store) => Effect.map(store.snapshot, ({ tree }) => tree))
      ).toEqual({})
    })
  )
  it.effect("formats, merging and resolving are the program's to choose", () =>
    withStore(
      {
        sources: [
          ConfigSource.fromDocuments([{ key: "a", value: "x|y", format: "bars" }]),
          ConfigSource.fromDocuments([{ key: "b", value: '{"l":["z"]}', format: "json" }])
        ],
        formats: { bars: (text) => Effect.succeed({ l: text.split("|") }) },
        merge: (earlier, later) => ({
          l: [...((earlier["l"] as ReadonlyArray<string> | undefined) ?? []), ...(later["l"] as ReadonlyArray<string>)]
        }),
        resolve: (tree) => ({ ...tree, n: 1 })
      },
      (store) => Effect.map(store.snapshot, ({ tree }) => expect(tree).toEqual({ l: ["x", "y", "z"], n: 1 }))
    )
  )
})

describe("health", () => {
  it.effect("an app says whether its config is what its sources say, and is ready in any case", () =>
    Effect.gen(function* () {
      const { source, writeText } = yield* writable("a", { port: 1 })
      const store = ConfigStore.layer({ sources: [source], schema: Config.all({ port }) })
      yield* Effect.gen(function* () {
        const lifecycle = yield* Lifecycle.Lifecycle
        const { reports } = yield* ConfigStore.ConfigStore
        assert.deepStrictEqual(yield* lifecycle.details, [{ name: "config", text: "current" }])
        yield* writeText("{")
        yield* until(reports, ({ current }) => !current)
        const [detail] = yield* lifecycle.details
        assert.match(detail!.text, /^not current: a: config: a, a: /)
        assert.isTrue(yield* lifecycle.ready)
      }).pipe(Effect.provide(App.layer({ name: "app", signals: [] }).pipe(Layer.provideMerge(store))))
    })
  )
})

describe("10,000 random updates, a fifth of them invalid", () => {
  it.effect("no torn read, nothing invalid in place, the last valid one arrives", () =>
    Effect.gen(function* () {
      // two values that belong together: `a` and `b` are equal in every config that was written
      const { source, writeText } = yield* writable("pair", { a: 0, b: 0, even: 0 })
      const pair = Config.all({ a: Config.Int("a"), b: Config.Int("b") })
      const schema = Schema.Struct({
        a: Schema.Int,
        b: Schema.Int,
        even: Schema.Int.check(Schema.isMultipleOf(2))
      })
      yield* withStore({ sources: [source], schema }, (store) =>
        Effect.gen(function* () {
          let seen = 0
          const stop = yield* Deferred.make<void>()
          const reader = yield* store.watch(pair).pipe(
            Stream.interruptWhen(Deferred.await(stop)),
            Stream.runForEach(({ a, b }) =>
              Effect.sync(() => {
                expect(a).toBe(b)
                seen++
              })
            ),
            Effect.forkChild({ startImmediately: true })
          )
          let last = 0
          for (let i = 1; i <= 10_000; i++) {
            const kind = yield* Random.nextIntBetween(0, 10)
            if (kind === 0) yield* writeText(`{"a":${i},"b":${i}`)
            else if (kind === 1) yield* writeText(`{"a":${i},"b":${i},"even":${i * 2 + 1}}`)
            else {
              yield* writeText(`{"a":${i},"b":${i},"even":${i * 2}}`)
              last = i
            }
            if (i % 16 === 0) yield* Effect.yieldNow
            const tree = (yield* store.snapshot).tree
            if (tree["a"] !== tree["b"] || Number(tree["even"]) % 2 !== 0) throw new Error(`torn or invalid: ${JSON.stringify(tree)}`)
          }
          yield* writeText(`{"a":${last},"b":${last},"even":${last * 2}}`)
          yield* until(store.snapshots, ({ tree }) => tree["a"] === last)
          expect(yield* store.get(pair)).toEqual({ a: last, b: last })
          yield* Deferred.succeed(stop, undefined)
          yield* Fiber.join(reader)
          expect(seen).toBeGreaterThan(100)
        })
      )
    })
  )
})
