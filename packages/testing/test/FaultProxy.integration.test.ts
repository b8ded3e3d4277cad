/** Each fault over the sockets of this machine. Times have lower bounds only: upper ones would test the machine. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as net from "node:net"
import * as Fault from "../src/Fault.ts"
import * as FaultProxy from "../src/FaultProxy.ts"

/** An echo that counts how its connections ended, behind a proxy. */
const setup = Effect.gen(function* () {
  const seen = { ends: 0, resets: 0 }
  const server = yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer({ allowHalfOpen: true }, (socket) => {
        socket.on("end", () => seen.ends++)
        socket.on("error", () => seen.resets++)
        socket.pipe(socket)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  const { port } = server.address() as net.AddressInfo // it listens on a port
  return { seen, proxy: yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port } }) }
})

class Peer {
  text = ""
  pieces = 0
  ended = false
  error: string | undefined
  readonly socket: net.Socket
  constructor(socket: net.Socket) {
    this.socket = socket
    socket.on("data", (bytes) => {
      this.text += bytes.toString()
      this.pieces++
    })
    socket.on("end", () => (this.ended = true))
    socket.on("error", (error: NodeJS.ErrnoException) => (this.error = error.code))
  }
  /** Waits for an event after which `when` holds. */
  readonly until = (when: (self: Peer) => boolean): Effect.Effect<void> =>
    Effect.callback((resume) => {
      const events = ["data", "end", "close", "error"]
      const look = () => when(this) && resume(Effect.void)
      for (const event of events) this.socket.on(event, look)
      look()
      return Effect.sync(() => events.forEach((event) => this.socket.removeListener(event, look)))
    })
  readonly hears = (text: string) => this.until((self) => self.text.endsWith(text))
}

const connect = (proxy: FaultProxy.FaultProxy) =>
  Effect.acquireRelease(
    Effect.callback<Peer, string>((resume) => {
      const peer = new Peer(net.connect({ port: proxy.address.port, host: proxy.address.host, allowHalfOpen: true, noDelay: true }))
      peer.socket.once("connect", () => resume(Effect.succeed(peer)))
      peer.socket.once("error", () => resume(Effect.fail(peer.error ?? "")))
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const start = yield* Clock.currentTimeMillis
    yield* effect
    return (yield* Clock.currentTimeMillis) - start
  })

describe("a fault proxy on sockets", () => {
  it.live("passes bytes and half-closed connections on", () =>
    Effect.gen(function* () {
      const { proxy, seen } = yield* setup
      const peer = yield* connect(proxy)
      peer.socket.end("last words")
      yield* peer.until((self) => self.ended && self.socket.closed)
      assert.deepStrictEqual([peer.text, peer.error, seen], ["last words", undefined, { ends: 1, resets: 0 }])
    })
  )

  it.live("carries much at once, under back-pressure", () =>
    Effect.gen(function* () {
      const { proxy } = yield* setup
      const peer = yield* connect(proxy)
      let heard = 0
      peer.socket.removeAllListeners("data").on("data", (bytes) => (heard += bytes.length))
      peer.socket.end(Buffer.alloc(20_000_000, "x"))
      yield* peer.until((self) => self.ended)
      assert.strictEqual(heard, 20_000_000)
    })
  )

  it.live("latency", () =>
    Effect.gen(function* () {
      const { proxy } = yield* setup
      const peer = yield* connect(proxy)
      const spent = yield* proxy.during(Fault.latency({ delay: "60 millis", jitter: "10 millis" }))(
        timed(
          Effect.andThen(
            Effect.sync(() => peer.socket.write("a")),
            peer.hears("a")
          )
        )
      )
      assert.isAtLeast(spent, 98)
    })
  )

  it.live("down", () =>
    Effect.gen(function* () {
      const { proxy } = yield* setup
      const peer = yield* connect(proxy)
      peer.socket.write("a")
      yield* peer.hears("a")
      yield* proxy.during(Fault.down)(
        Effect.gen(function* () {
          yield* peer.until((self) => self.socket.closed)
          assert.strictEqual(peer.error, "ECONNRESET")
          assert.strictEqual(yield* Effect.flip(connect(proxy)), "ECONNREFUSED")
        })
      )
      const again = yield* connect(proxy)
      again.socket.write("b")
      yield* again.hears("b")
    })
  )

  it.live("reset", () =>
    Effect.gen(function* () {
      const { proxy, seen } = yield* setup
      const peer = yield* connect(proxy)
      peer.socket.write("a")
      yield* peer.hears("a")
      const spent = yield* proxy.during(Fault.reset({ after: "50 millis" }))(timed(peer.until((self) => self.socket.closed)))
      assert.isAtLeast(spent, 48)
      assert.strictEqual(peer.error, "ECONNRESET")
      yield* Effect.repeat(Effect.sleep("1 millis"), { until: () => seen.resets > 0 })
    })
  )

  it.live("slow close", () =>
    Effect.gen(function* () {
      const { proxy } = yield* setup
      const peer = yield* connect(proxy)
      const spent = yield* proxy.during(Fault.slowClose({ delay: "50 millis" }))(
        Effect.gen(function* () {
          peer.socket.end("a")
          yield* peer.hears("a")
          return yield* timed(peer.until((self) => self.ended))
        })
      )
      // there and back; how much of the first way is over when the text is heard is not known
      assert.isAtLeast(spent, 80)
    })
  )

  it.live("bandwidth", () =>
    Effect.gen(function* () {
      const { proxy } = yield* setup
      const peer = yield* connect(proxy)
      const spent = yield* proxy.during(Fault.bandwidth({ bytesPerSecond: 100_000, direction: "downstream" }))(
        timed(
          Effect.andThen(
            Effect.sync(() => peer.socket.write(Buffer.alloc(20_000, "x"))),
            peer.until((self) => self.text.length === 20_000)
          )
        )
      )
      assert.isAtLeast(spent, 190)
    })
  )

  it.live("slicer", () =>
    Effect.gen(function* () {
      const { proxy } = yield* setup
      const peer = yield* connect(proxy)
      yield* proxy.during(Fault.slicer({ size: 3, delay: "10 millis", direction: "downstream" }))(
        Effect.andThen(
          Effect.sync(() => peer.socket.write("abcdefgh")),
          peer.hears("abcdefgh")
        )
      )
      assert.isAtLeast(peer.pieces, 2)
    })
  )

  it.live("black hole", () =>
    Effect.gen(function* () {
      const { proxy } = yield* setup
      const peer = yield* connect(proxy)
      yield* proxy.during(Fault.blackhole())(
        Effect.gen(function* () {
          peer.socket.write("a")
          yield* Effect.sleep("50 millis")
          assert.deepStrictEqual([peer.text, peer.ended, (yield* proxy.stats).bytesUpstream], ["", false, 0])
        })
      )
      yield* peer.hears("a")
    })
  )
})
