/**
 * What every source of config must do, whatever it reads. `suite` declares the tests; an adapter says how to make a source and how to change what it reads, the
 * way an operator would.
 */
import type { ConfigSource, KeyValue } from "@effect-kratos/core/config/ConfigSource"
import type { ConfigSourceError } from "@effect-kratos/core/config/ConfigSourceError"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** A place that a source reads, empty at first, of this test alone. */
export interface Place {
  readonly source: ConfigSource
  /** Creates or replaces the entry `name`, such as `app.yaml`, whole. */
  readonly write: (name: string, text: string) => Effect.Effect<void, unknown>
  readonly remove: (name: string) => Effect.Effect<void, unknown>
  /** The key that the source gives to the entry. Default: its name. */
  readonly keyOf?: ((name: string) => string) | undefined
  /** Makes what the source reads unreachable for as long as the scope is open. Left out where that cannot be done. */
  readonly cut?: Effect.Effect<void, unknown, Scope.Scope> | undefined
  /** Texts that may appear in no name, error or log: passwords and tokens that the source was given. */
  readonly secrets?: ReadonlyArray<string> | undefined
}

export interface Options {
  /** For a change to be seen; how long a test waits before it fails. Default 20 seconds. */
  readonly patience?: Duration.Input | undefined
  /** Skips the suite, by this name, where what it needs is missing. */
  readonly skip?: string | undefined
}

/** Declares the laws for the places that `place` makes, one for each test. `services` is built once. */
export const suite = <R, E>(
  name: string,
  place: Effect.Effect<Place, unknown, R | Scope.Scope>,
  services: Layer.Layer<R, E>,
  options: Options = {}
): void => {
  const { patience = "20 seconds", skip } = options
  const title = `config source laws: ${name}${skip === undefined ? "" : ` (skipped: ${skip})`}`
  describe.skipIf(skip !== undefined)(title, () => {
    it.layer(services, { excludeTestServices: true, timeout: "2 minutes" })((it) => {
      const law = (text: string, body: (place: Place) => Effect.Effect<void, unknown, Scope.Scope>) =>
        it.effect(text, () => Effect.scoped(Effect.flatMap(place, body)), Duration.toMillis(Duration.fromInputUnsafe(patience)) + 10_000)

      const show = (place: Place, list: ReadonlyArray<KeyValue>): Record<string, string> =>
        Object.fromEntries(list.map(({ format, key, value }) => [`${key} ${format}`, value]))
      const expected = (place: Place, entries: Record<string, string>): Record<string, string> =>
        Object.fromEntries(
          Object.entries(entries).map(([name, text]) => [`${place.keyOf?.(name) ?? name} ${name.slice(name.lastIndexOf(".") + 1)}`, text])
        )
      /** Waits until the changes have come to exactly these entries. */
      const until = (place: Place, entries: Record<string, string>, changes: Stream.Stream<ReadonlyArray<KeyValue>, ConfigSourceError>) =>
        Effect.gen(function* () {
          const last = yield* Ref.make<Record<string, string>>({})
          const wanted = JSON.stringify(sorted(expected(place, entries)))
          const found = yield* changes.pipe(
            Stream.tap((list) => Ref.set(last, show(place, list))),
            Stream.filter((list) => JSON.stringify(sorted(show(place, list))) === wanted),
            Stream.runHead,
            Effect.timeoutOption(patience)
          )
          if (Option.isNone(found)) assert.deepStrictEqual(yield* Ref.get(last), expected(place, entries), "the last list that was told")
        })

      law("load lists every entry with its key, format and text", (place) =>
        Effect.gen(function* () {
          const entries = { "app.yaml": "a: 1\n", "more.json": '{"b": "ü"}' }
          yield* place.write("app.yaml", entries["app.yaml"])
          yield* place.write("more.json", entries["more.json"])
          yield* until(place, entries, Stream.fromEffectRepeat(place.source.load))
        })
      )
      law("changes tell the current list first, then a new entry, a changed one and a removed one", (place) =>
        Effect.gen(function* () {
          yield* place.write("app.yaml", "a: 1\n")
          yield* until(place, { "app.yaml": "a: 1\n" }, Stream.fromEffectRepeat(place.source.load))
          const lists = yield* Stream.toPull(place.source.changes)
          const changes = Stream.fromPull(Effect.succeed(lists))
          yield* until(place, { "app.yaml": "a: 1\n" }, changes)
          yield* place.write("app.yaml", "a: 2\n")
          yield* until(place, { "app.yaml": "a: 2\n" }, changes)
          yield* place.write("b.json", "{}")
          yield* until(place, { "app.yaml": "a: 2\n", "b.json": "{}" }, changes)
          yield* place.remove("b.json")
          yield* until(place, { "app.yaml": "a: 2\n" }, changes)
        })
      )
      law("of many changes in a row the last one is told", (place) =>
        Effect.gen(function* () {
          yield* place.write("app.yaml", "a: 0\n")
          const fiber = yield* Effect.forkScoped(until(place, { "app.yaml": "a: 50\n" }, place.source.changes), { startImmediately: true })
          for (let i = 1; i <= 50; i++) yield* place.write("app.yaml", `a: ${i}\n`)
          yield* Fiber.join(fiber)
        })
      )
      law("two readers are told independently of each other, and one that stops leaves nothing behind for the other", (place) =>
        Effect.gen(function* () {
          yield* place.write("app.yaml", "a: 1\n")
          const first = yield* Effect.forkScoped(Stream.runDrain(place.source.changes), { startImmediately: true })
          const second = yield* Effect.forkScoped(until(place, { "app.yaml": "a: 2\n" }, place.source.changes), { startImmediately: true })
          yield* Fiber.interrupt(first)
          yield* place.write("app.yaml", "a: 2\n")
          yield* Fiber.join(second)
        })
      )
      law("while nothing changes, nothing is told over and over", (place) =>
        Effect.gen(function* () {
          yield* place.write("app.yaml", "a: 1\n")
          yield* until(place, { "app.yaml": "a: 1\n" }, Stream.fromEffectRepeat(place.source.load))
          const count = yield* Ref.make(0)
          yield* place.source.changes.pipe(
            Stream.tap(() => Ref.update(count, (n) => n + 1)),
            Stream.runDrain,
            Effect.timeoutOption("1 second")
          )
          const told = yield* Ref.get(count)
          assert.isTrue(told >= 1 && told <= 3, `told ${told} times in a second`)
        })
      )
      law("unreachable, it fails with a typed error that gives no secret away; reachable again, it goes on", (place) =>
        Effect.gen(function* () {
          yield* place.write("app.yaml", "a: 1\n")
          if (place.cut === undefined) return
          const exit = yield* Effect.scoped(Effect.andThen(place.cut, Effect.exit(Effect.timeout(place.source.load, patience))))
          assert.isTrue(Exit.isFailure(exit), "load succeeded without its place")
          if (Exit.isFailure(exit)) {
            const error = Cause.squash(exit.cause)
            assert.strictEqual((error as { readonly _tag?: unknown })._tag, "ConfigSourceError", Cause.pretty(exit.cause))
            const said = `${place.source.name} ${Cause.pretty(exit.cause)}`
            for (const secret of place.secrets ?? []) assert.notInclude(said, secret)
          }
          yield* until(place, { "app.yaml": "a: 1\n" }, Stream.retry(place.source.changes, retries))
        })
      )
    })
  })
}

const sorted = (entries: Record<string, string>) => Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1))

/** A source that fails is followed again, as the store does. */
const retries = Schedule.spaced("200 millis")
