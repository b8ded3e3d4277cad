/** Lists and watches as an API server has said them, and what comes of them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Reflector from "../src/Reflector.ts"
import { bookmark, event, list, make, object, status, watch } from "./Recorded.ts"

const resource = {
  path: "/api/v1/pods",
  schema: Schema.Struct({ metadata: Schema.Struct({ name: Schema.String }) }),
  labelSelector: "app=a,b!=c"
}
const names = Stream.map((all: ReadonlyArray<typeof resource.schema.Type>) => all.map(({ metadata }) => metadata.name).join())
const follow = (kubernetes: Effect.Success<ReturnType<typeof make>>["kubernetes"]) => names(Reflector.follow(kubernetes, resource))
const versions = (asked: ReadonlyArray<{ readonly query: Readonly<Record<string, string>> }>) =>
  asked.map(({ query }) => (query["watch"] === undefined ? "list" : query["resourceVersion"]))

describe("Reflector", () => {
  it.effect("lists, then watches from there on; what comes late is listed by key", () =>
    Effect.gen(function* () {
      const { asked, kubernetes } = yield* make(({ query }) =>
        query["watch"] === undefined
          ? list(5, [object("b", 3)])
          : watch([event("ADDED", object("a", 6)), event("MODIFIED", object("b", 7)), event("DELETED", object("b", 8))], { open: true })
      )
      const last = yield* follow(kubernetes).pipe(
        Stream.takeUntil((found) => found === "a"),
        Stream.runCollect
      )
      assert.strictEqual(last.at(-1), "a")
      assert.deepInclude(asked[0]?.query, { labelSelector: "app=a,b!=c", limit: "500" })
      const { timeoutSeconds, ...query } = asked[1]?.query ?? {}
      assert.deepStrictEqual(query, { labelSelector: "app=a,b!=c", watch: "1", allowWatchBookmarks: "true", resourceVersion: "5" })
      assert.isTrue(Number(timeoutSeconds) >= 300 && Number(timeoutSeconds) <= 600)
      assert.deepStrictEqual(
        asked.map(({ token }) => token),
        ["hunter2", "hunter2"]
      )
    })
  )
  it.effect("a watch that ends goes on from the last event or bookmark, without a list, and not at once over and over", () =>
    Effect.gen(function* () {
      const { asked, kubernetes } = yield* make((_, n) =>
        n === 0 ? list(5, []) : watch(n === 1 ? [event("ADDED", object("a", 6))] : n === 2 ? [bookmark(90)] : [])
      )
      const fiber = yield* Effect.forkScoped(Stream.runDrain(follow(kubernetes)), { startImmediately: true })
      for (let i = 0; i < 20; i++) yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(versions(asked).slice(0, 5), ["list", "5", "6", "90", "90"])
      assert.isAtMost(asked.length, 12)
    })
  )
  it.effect("a version that is too old, at the start of a watch or in it, is a new list; what was deleted meanwhile is gone", () =>
    Effect.gen(function* () {
      const { asked, kubernetes } = yield* make((_, n) => {
        if (n === 0) return list(5, [object("a", 1), object("b", 2)])
        if (n === 1) return status(410, "Expired")
        if (n === 2) return list(50, [object("b", 2), object("c", 40)])
        if (n === 3) return watch([event("ERROR", { kind: "Status", code: 410, reason: "Expired", message: "too old" })])
        if (n === 4) return list(70, [object("d", 60)])
        return watch([], { open: true })
      })
      const seen: Array<string> = []
      const fiber = yield* follow(kubernetes).pipe(
        Stream.runForEach((found) => Effect.sync(() => seen.push(found))),
        Effect.forkScoped({ startImmediately: true })
      )
      for (let i = 0; i < 10; i++) yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(seen, ["a,b", "b,c", "d"])
      assert.deepStrictEqual(versions(asked), ["list", "5", "list", "50", "list", "70"])
    })
  )
  it.effect("fails when it is refused; run again with its memory it lists, since its version may be why", () =>
    Effect.gen(function* () {
      const { asked, kubernetes } = yield* make(({ query }, n) =>
        n === 1 ? status(504, "Timeout") : query["watch"] === undefined ? list(5 + n, [object(`n${n}`, 1)]) : watch([], { open: true })
      )
      const memory = Reflector.memory<typeof resource.schema.Type>()
      const lists = names(Reflector.follow(kubernetes, resource, memory))
      const error = yield* Effect.flip(Stream.runDrain(lists))
      assert.deepStrictEqual(
        [error.status, error.reason, error.message],
        [504, "Timeout", "kubernetes: watch /api/v1/pods: 504 because of Timeout"]
      )
      assert.deepStrictEqual(yield* Stream.runHead(lists).pipe(Effect.flatMap(Effect.fromOption)), "n2")
      assert.deepStrictEqual(versions(asked).slice(0, 3), ["list", "5", "list"])
    })
  )
  it.effect("a connection that is silent for too long is opened again", () =>
    Effect.gen(function* () {
      const { asked, kubernetes } = yield* make(({ query }) => (query["watch"] === undefined ? list(5, []) : watch([], { open: true })))
      const fiber = yield* Effect.forkScoped(Stream.runDrain(follow(kubernetes)), { startImmediately: true })
      yield* TestClock.adjust("149 seconds")
      assert.deepStrictEqual(versions(asked), ["list", "5"])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(versions(asked), ["list", "5", "5"])
      yield* Fiber.interrupt(fiber)
    })
  )
  it.effect("a reader that is slow does not hold up the watch, and gets the last list", () =>
    Effect.gen(function* () {
      const { kubernetes } = yield* make(({ query }) =>
        query["watch"] === undefined
          ? list(5, [])
          : watch(
              Array.from({ length: 1000 }, (_, i) => event("ADDED", object(`p${i}`, 6 + i))),
              { open: true }
            )
      )
      const gate = yield* Latch.make()
      const lengths: Array<number> = []
      const memory = Reflector.memory<typeof resource.schema.Type>()
      const fiber = yield* Reflector.follow(kubernetes, resource, memory).pipe(
        Stream.takeUntil((found) => found.length === 1000),
        Stream.runForEach((found) =>
          Effect.andThen(
            gate.await,
            Effect.sync(() => lengths.push(found.length))
          )
        ),
        Effect.forkScoped({ startImmediately: true })
      )
      while (memory.items.size < 1000) yield* Effect.yieldNow
      yield* gate.open
      yield* Fiber.join(fiber)
      assert.strictEqual(lengths.at(-1), 1000)
      assert.isBelow(lengths.length, 10)
    })
  )
})

describe("Kubernetes.list", () => {
  it.effect("puts pages together; where the state of the first is gone, it asks for all in one", () =>
    Effect.gen(function* () {
      const { asked, kubernetes } = yield* make(({ query }, n) => {
        if (n === 0) return list(5, [object("a", 1)], "next")
        if (n === 1) return list(5, [object("b", 2)], "more")
        if (n === 2) return status(410, "Expired")
        assert.strictEqual(query["limit"], "0")
        return list(9, [object("a", 1), object("c", 8)])
      })
      const { items, version } = yield* kubernetes.list(resource)
      assert.deepStrictEqual(
        items.map(({ key }) => key),
        ["shop/a", "shop/c"]
      )
      assert.strictEqual(version, "9")
      assert.deepStrictEqual(
        asked.map(({ query }) => query["continue"]),
        [undefined, "next", "more", undefined]
      )
    })
  )
  it.effect("waits where the server is too busy, as long as it says, and gives up in time", () =>
    Effect.gen(function* () {
      const busy = status.bind(undefined, 429, "TooManyRequests", { "retry-after": "1" })
      const { asked, kubernetes } = yield* make((_, n) => (n < 2 ? busy() : list(5, [])))
      const fiber = yield* Effect.forkScoped(kubernetes.list(resource), { startImmediately: true })
      yield* TestClock.adjust("900 millis")
      assert.lengthOf(asked, 1)
      for (let i = 0; i < 4; i++) yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fiber)).version, "5")

      const always = yield* make(() => busy())
      const failing = yield* Effect.forkScoped(Effect.flip(always.kubernetes.list(resource)), { startImmediately: true })
      for (let i = 0; i < 6; i++) yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(failing)).status, 429)
      assert.lengthOf(always.asked, 3)
    })
  )
  it.effect("what is no reply of an API server is a typed error", () =>
    Effect.gen(function* () {
      const replies: ReadonlyArray<readonly [() => Response, RegExp]> = [
        [() => new Response("<html>bad gateway</html>", { status: 502 }), /^kubernetes: list \/api\/v1\/pods: 502 <html>bad gateway/],
        [() => new Response("{"), /not what was expected/],
        [() => Response.json({ items: [] }), /not what was expected/],
        [() => list(5, [{ metadata: { name: 1 } }]), /not what was expected/],
        [() => new Response("x".repeat(2000)), /a reply of more than 1000 characters/]
      ]
      for (const [reply, message] of replies) {
        const { kubernetes } = yield* make(reply, { maxReply: 1000 })
        const error = yield* Effect.flip(kubernetes.list(resource))
        assert.strictEqual(error._tag, "KubernetesError")
        assert.match(error.message, message)
        assert.notInclude(JSON.stringify(error), "hunter2")
      }
    })
  )
})
