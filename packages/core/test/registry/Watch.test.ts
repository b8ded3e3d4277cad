import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Watch from "@effect-kratos/core/registry/Watch"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

type Instances = ReadonlyArray<ServiceInstance.ServiceInstance>

const list = (ids: string): Instances => ids.split("").map((id) => ServiceInstance.make({ id, name: "greeter" }))
const ids = (instances: Instances): string => instances.map(({ id }) => id).join("")

interface Fake {
  /** What a new connection is told; undefined when it is refused. */
  current: string | undefined
  connections: number
  open: number
  pipe: Queue.Queue<Instances, string> | undefined
  readonly follow: Stream.Stream<Instances, string>
  readonly say: (text: string) => Effect.Effect<unknown>
  readonly break: (current: string | undefined) => Effect.Effect<unknown>
}

/** Connections that are scripted: `say` tells a list, `break` ends the connection. */
const make = (): Fake => {
  const self: Fake = {
    current: "",
    connections: 0,
    open: 0,
    pipe: undefined,
    follow: Stream.unwrap(
      Effect.gen(function* () {
        self.connections++
        if (self.current === undefined) return Stream.fail("refused")
        const pipe = yield* Queue.unbounded<Instances, string>()
        self.pipe = pipe
        self.open++
        yield* Effect.addFinalizer(() => Effect.sync(() => void self.open--))
        return Stream.concat(Stream.succeed(list(self.current)), Stream.fromQueue(pipe))
      })
    ),
    say: (text) =>
      Effect.suspend(() => {
        self.current = text
        return Queue.offer(self.pipe!, list(text))
      }),
    break: (current) =>
      Effect.suspend(() => {
        self.current = current
        return Queue.fail(self.pipe!, "reset")
      })
  }
  return self
}

const logged = (lines: Array<string> = []) =>
  Logger.layer([Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${Array.isArray(message) ? message[0] : message}`))])

const follow = Effect.fnUntraced(function* (registry: Fake) {
  const seen: Array<string> = []
  const fiber = yield* Watch.keep({ name: "greeter", follow: registry.follow }).pipe(
    Stream.runForEach((instances) => Effect.sync(() => seen.push(ids(instances)))),
    Effect.forkScoped
  )
  yield* TestClock.adjust(0)
  return { seen, fiber }
})

describe("Watch.keep", () => {
  it.effect("passes lists on, by id, each once; the empty list is one", () =>
    Effect.gen(function* () {
      const registry = make()
      const { seen } = yield* follow(registry)
      for (const text of ["ba", "ab", "a", ""]) {
        yield* registry.say(text)
        yield* TestClock.adjust(0)
      }
      assert.deepStrictEqual(seen, ["", "ab", "a", ""])
    }).pipe(Effect.scoped, Effect.provide(logged()))
  )

  it.effect("keeps the last list while the registry is away, and tells what has changed in the meantime as one change", () => {
    const lines: Array<string> = []
    return Effect.gen(function* () {
      const registry = make()
      registry.current = "ab"
      const { seen } = yield* follow(registry)
      yield* registry.break(undefined)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(seen, ["ab"])
      // patient, but no busy loop
      assert.isAbove(registry.connections, 60)
      assert.isBelow(registry.connections, 240)
      registry.current = "bc"
      yield* TestClock.adjust("10 seconds")
      // the one that is not listed may be about to come back
      assert.deepStrictEqual(seen, ["ab", "abc"])
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(seen, ["ab", "abc", "bc"])
      yield* registry.break("bc")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(registry.open, 1)
      yield* registry.say("c")
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(seen, ["ab", "abc", "bc", "c"])
      assert.deepStrictEqual(lines, [
        "Warn greeter: the registry is away, the last list stays",
        "Info greeter: the registry is back",
        "Warn greeter: the registry is away, the last list stays",
        "Info greeter: the registry is back"
      ])
    }).pipe(Effect.scoped, Random.withSeed("away"), Effect.provide(logged(lines)))
  })

  it.effect("a registry that comes back empty takes no instance away before they have had time to register again", () =>
    Effect.gen(function* () {
      const registry = make()
      registry.current = "abc"
      const { seen } = yield* follow(registry)
      yield* registry.break("")
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(registry.open, 1)
      for (const text of ["c", "ac"]) {
        yield* registry.say(text)
        yield* TestClock.adjust("3 seconds")
      }
      // away once more, and empty again
      yield* registry.break("")
      yield* TestClock.adjust("10 seconds")
      yield* registry.say("ad")
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(seen, ["abc", "abcd"])
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(seen, ["abc", "abcd", "ad"])
      yield* registry.say("")
      yield* TestClock.adjust(0)
      assert.strictEqual(seen.at(-1), "")
    }).pipe(Effect.scoped, Random.withSeed("empty"), Effect.provide(logged()))
  )

  it.effect("fails when the registry is away from the start", () =>
    Effect.gen(function* () {
      const registry = make()
      registry.current = undefined
      assert.strictEqual(yield* Effect.flip(Stream.runDrain(Watch.keep({ name: "greeter", follow: registry.follow }))), "refused")
      assert.strictEqual(registry.connections, 1)
    }).pipe(Effect.provide(logged()))
  )

  it.effect("a connection that only ends is a lost one", () =>
    Effect.gen(function* () {
      let connections = 0
      const once = Stream.suspend(() => {
        connections++
        return Stream.succeed(list("a"))
      })
      const fiber = yield* Effect.forkScoped(Stream.runCollect(Watch.keep({ name: "greeter", follow: once })))
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(fiber.pollUnsafe())
      assert.isAbove(connections, 10)
      assert.isBelow(connections, 240)
    }).pipe(Effect.scoped, Random.withSeed("ends"), Effect.provide(logged()))
  )

  it.effect("a slow reader gets the last list, and a reader that leaves ends the connection", () =>
    Effect.gen(function* () {
      const registry = make()
      const gate = yield* Latch.make()
      const seen: Array<string> = []
      const reader = yield* Watch.keep({ name: "greeter", follow: registry.follow }).pipe(
        Stream.runForEach((instances) =>
          Effect.andThen(
            gate.await,
            Effect.sync(() => seen.push(ids(instances)))
          )
        ),
        Effect.forkScoped
      )
      yield* TestClock.adjust(0)
      for (const text of ["a", "ab", "abc", "abcd"]) {
        yield* registry.say(text)
        yield* TestClock.adjust(0)
      }
      yield* gate.open
      yield* TestClock.adjust(0)
      assert.strictEqual(seen.at(-1), "abcd")
      assert.isBelow(seen.length, 5)
      assert.strictEqual(registry.open, 1)
      yield* Fiber.interrupt(reader)
      assert.strictEqual(registry.open, 0)
    }).pipe(Effect.scoped, Effect.provide(logged()))
  )
})

it.effect("an instance that is listed again after the registry's return, and then leaves, has left", () =>
  Effect.gen(function* () {
    const registry = make()
    registry.current = "ab"
    const { seen } = yield* follow(registry)
    yield* registry.break("")
    yield* TestClock.adjust("3 seconds")
    yield* registry.say("a")
    yield* TestClock.adjust(0)
    // b is given the time to come back
    assert.strictEqual(seen.at(-1), "ab")
    yield* registry.say("")
    yield* TestClock.adjust(0)
    assert.strictEqual(seen.at(-1), "b")
    yield* TestClock.adjust("30 seconds")
    assert.strictEqual(seen.at(-1), "")
  }).pipe(Effect.scoped, Effect.provide(logged()))
)
