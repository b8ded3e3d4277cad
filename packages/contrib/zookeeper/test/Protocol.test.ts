/** The client against a server in memory that says what no real one can be made to say. */
import { Network } from "@effect-kratos/transport/Network"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import type { Writer } from "../src/internal/Jute.ts"
import { Op, Xid } from "../src/internal/Records.ts"
import * as Zookeeper from "../src/Zookeeper.ts"
import * as MemoryServer from "./MemoryServer.ts"

const client = (options: Partial<Zookeeper.Options> = {}) =>
  Effect.gen(function* () {
    const server = yield* MemoryServer.make
    const layer = Zookeeper.layer({ endpoints: ["zk"], sessionTimeout: "6 seconds", ...options })
    const context = yield* Layer.build(layer).pipe(Effect.provideService(Network, server.network))
    return { zookeeper: Context.get(context, Zookeeper.Zookeeper), next: server.next }
  })
const names =
  (...list: ReadonlyArray<string>) =>
  (to: Writer) => {
    to.int(list.length)
    for (const name of list) to.text(name)
  }
/** Lets what is in the sockets arrive: they are Node's, and have turns of their own. */
const settle = Effect.promise(() => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve))))
const later = (duration: Parameters<typeof TestClock.adjust>[0]) => Effect.andThen(TestClock.adjust(duration), settle)

describe("the protocol", () => {
  it.effect("a session goes on with the next connection: its number, and the last transaction that was seen", () =>
    Effect.gen(function* () {
      const { next, zookeeper } = yield* client()
      const first = yield* next
      assert.deepStrictEqual(first.hello, { lastZxid: 0n, timeout: 6000, session: 0n })
      yield* first.welcome(7n)
      const fiber = yield* Effect.forkChild(zookeeper.children("/a"), { startImmediately: true })
      const asked = yield* first.asked
      assert.deepStrictEqual([asked.op, asked.path], [Op.getChildren, "/a"])
      yield* first.answer(asked.xid, 0, names("x", "y"), 41n)
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["x", "y"])
      assert.strictEqual(yield* zookeeper.session, 7n)

      // a call that is cut short is made again
      const again = yield* Effect.forkChild(zookeeper.children("/b"), { startImmediately: true })
      yield* first.asked
      yield* first.close
      yield* settle
      yield* later("500 millis")
      const second = yield* next
      assert.deepStrictEqual(second.hello, { lastZxid: 41n, timeout: 6000, session: 7n })
      yield* second.welcome(7n)
      yield* settle
      yield* later("100 millis")
      yield* second.answer((yield* second.asked).xid, 0, names())
      assert.deepStrictEqual(yield* Fiber.join(again), [])
    }).pipe(Effect.scoped)
  )
  it.effect("a session that has expired is followed by a new one, and watches are lost with the connection", () =>
    Effect.gen(function* () {
      const { next, zookeeper } = yield* client()
      const first = yield* next
      yield* first.welcome(7n)
      let lost = 0
      const watcher = yield* zookeeper.watcher((path) => {
        if (path === undefined) lost += 1
      })
      const fiber = yield* Effect.forkChild(zookeeper.exists("/a", watcher), { startImmediately: true })
      yield* first.answer((yield* first.asked).xid, -101)
      assert.isUndefined(yield* Fiber.join(fiber))
      assert.strictEqual(lost, 0)
      yield* first.close
      yield* settle
      assert.strictEqual(lost, 1)
      yield* later("500 millis")
      const second = yield* next
      assert.strictEqual(second.hello.session, 7n)
      yield* second.welcome(0n)
      const third = yield* next
      assert.strictEqual(third.hello.session, 0n)
      yield* third.welcome(8n)
      assert.strictEqual(yield* zookeeper.session, 8n)
    }).pipe(Effect.scoped)
  )
  it.effect("a server that gives no session is asked less and less often", () =>
    Effect.gen(function* () {
      const { next } = yield* client()
      let asked = 0
      yield* next.pipe(
        Effect.tap((peer) =>
          Effect.andThen(
            peer.welcome(0n),
            Effect.sync(() => (asked += 1))
          )
        ),
        Effect.forever,
        Effect.forkScoped
      )
      for (let i = 0; i < 200; i++) yield* later("50 millis")
      assert.isAbove(asked, 3)
      assert.isBelow(asked, 40)
    }).pipe(Effect.scoped)
  )
  it.effect("signs of life are sent after a third of the session's time, and missed after two", () =>
    Effect.gen(function* () {
      const { next, zookeeper } = yield* client()
      const first = yield* next
      // the server has the last word
      yield* first.welcome(7n, 3000)
      yield* zookeeper.session
      yield* later("500 millis")
      yield* later("500 millis")
      assert.deepStrictEqual(yield* first.asked, { xid: Xid.ping, op: Op.ping, path: "" })
      yield* first.answer(Xid.ping, 0)
      yield* settle
      yield* later("1900 millis")
      assert.isFalse(first.closed())
      yield* later("700 millis")
      assert.isTrue(first.closed())
    }).pipe(Effect.scoped)
  )
  it.effect("an answer goes to its own request, also when that waits no more", () =>
    Effect.gen(function* () {
      const { next, zookeeper } = yield* client()
      const peer = yield* next
      yield* peer.welcome(7n)
      const gone = yield* Effect.forkChild(zookeeper.children("/gone"), { startImmediately: true })
      const first = yield* peer.asked
      yield* Fiber.interrupt(gone)
      const fiber = yield* Effect.forkChild(zookeeper.children("/here"), { startImmediately: true })
      const second = yield* peer.asked
      yield* peer.answer(first.xid, 0, names("wrong"))
      yield* peer.answer(second.xid, 0, names("right"))
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["right"])
    }).pipe(Effect.scoped)
  )
  const nonsense: Readonly<Record<string, (peer: MemoryServer.Peer, xid: number) => Effect.Effect<void>>> = {
    "another number than is due": (peer, xid) => peer.answer(xid + 1, 0, names()),
    "a list that is longer than its frame": (peer, xid) => peer.answer(xid, 0, (to) => to.int(1_000_000)),
    "a text that is longer than its frame": (peer, xid) => peer.answer(xid, 0, (to) => to.int(1).int(1000)),
    "a length below zero": (peer, xid) => peer.answer(xid, 0, (to) => to.int(1).int(-2)),
    "an answer that ends in its head": (peer) => peer.send(Buffer.from([0, 0, 0, 3, 1, 2, 3])),
    "a frame beyond the limit": (peer) => peer.send(Buffer.from([0x7f, 0xff, 0xff, 0xff, 0])),
    "a frame below zero": (peer) => peer.send(Buffer.from([0xff, 0xff, 0xff, 0xff, 0]))
  }
  for (const [what, send] of Object.entries(nonsense))
    it.effect(`${what} is a typed error and ends the connection`, () =>
      Effect.gen(function* () {
        const { next, zookeeper } = yield* client()
        const peer = yield* next
        yield* peer.welcome(7n)
        const fiber = yield* Effect.forkChild(Effect.flip(zookeeper.children("/a")), { startImmediately: true })
        yield* send(peer, (yield* peer.asked).xid)
        const error = yield* Fiber.join(fiber)
        assert.deepInclude(error, { _tag: "ZookeeperError", operation: "children /a", reason: "Protocol" })
        yield* settle
        assert.isTrue(peer.closed())
      }).pipe(Effect.scoped)
    )
  it.effect("credentials that the server does not take are a typed error without them", () =>
    Effect.gen(function* () {
      const { next, zookeeper } = yield* client({ username: "me", password: Redacted.make("hunter2"), timeout: "1 second" })
      const peer = yield* next
      yield* peer.welcome(7n)
      assert.strictEqual((yield* peer.asked).op, Op.auth)
      yield* peer.answer(Xid.auth, -115)
      const fiber = yield* Effect.forkChild(Effect.flip(zookeeper.get("/a")), { startImmediately: true })
      yield* settle
      yield* later("1 second")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.reason, "AuthFailed")
      assert.notMatch(error.message + JSON.stringify(error), /hunter/)
    }).pipe(Effect.scoped)
  )
  it.effect("the end of the scope ends the session", () =>
    Effect.gen(function* () {
      const peer = yield* Effect.scoped(
        Effect.gen(function* () {
          const { next, zookeeper } = yield* client()
          const peer = yield* next
          yield* peer.welcome(7n)
          yield* zookeeper.session
          assert.isFalse(peer.ended())
          return peer
        })
      )
      yield* settle
      assert.isTrue(peer.ended() && peer.closed())
    })
  )
})
