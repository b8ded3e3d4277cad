/** What needs real sockets and a process of its own: thousands of idle connections, clients that stall or vanish. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import * as net from "node:net"
import { createInterface } from "node:readline"
import type { Duplex } from "node:stream"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tls from "node:tls"
import { fileURLToPath } from "node:url"
import { ErrorCode } from "@effect-kratos/http2/ErrorCode"
import { clientOf, serve, settled, sockets } from "../Harness.ts"
import { framed } from "../Raw.ts"
import * as Peer from "./Http2Peer.ts"

const program = fileURLToPath(new URL("../fixtures/idle.ts", import.meta.url))

/** Connections of each kind. */
const COUNT = 3000
const KIB = 1024

/** A server in a process of its own, and what that holds. */
const start = Effect.acquireRelease(
  Effect.promise(async () => {
    const child = spawn(process.execPath, ["--expose-gc", program], { stdio: ["pipe", "pipe", "inherit"] })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const line = async (): Promise<string> => ((await lines.next()) as { readonly value: string }).value
    const port = Number(await line())
    const held = Effect.promise(async () => {
      child.stdin.write("\n")
      const [bytes, rss] = (await line()).split(" ").map(Number)
      return { bytes: bytes!, rss: rss! }
    })
    return { child, port, held }
  }),
  ({ child }) => Effect.sync(() => child.stdin.end())
)

const dial = (port: number): Promise<net.Socket> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1", () => resolve(socket))
    socket.once("error", reject)
  })

/** Opens connections, a hundred at a time; `use` makes each of them idle. */
const crowd = (port: number, use: (socket: net.Socket) => Promise<void>): Effect.Effect<ReadonlyArray<net.Socket>> =>
  Effect.promise(async () => {
    const all: Array<net.Socket> = []
    for (let i = 0; i < COUNT; i += 100) {
      const some = await Promise.all(Array.from({ length: 100 }, () => dial(port)))
      await Promise.all(some.map(use))
      all.push(...some)
    }
    return all
  })

const call = (peer: Peer.Http2Peer, id: number): Promise<void> => {
  peer.write(
    Peer.frame(Peer.HEADERS, Peer.END_HEADERS, id, Peer.request()),
    Peer.frame(Peer.DATA, Peer.END_STREAM, id, framed(Buffer.from([0x0a, 2, 0x68, 0x69])))
  )
  return new Promise((resolve) => {
    const look = (): void => {
      if (!peer.told.some((one) => one.id === id && (one.flags & Peer.END_STREAM) !== 0 && one.type === Peer.HEADERS)) return
      peer.duplex.removeListener("data", look)
      resolve()
    }
    peer.duplex.on("data", look)
  })
}

/** A connection that has made a call and keeps quiet. */
const kinds: ReadonlyArray<readonly [name: string, most: number, use: (socket: net.Socket) => Promise<void>]> = [
  ["HTTP/2, after a call", 16 * KIB, (socket) => call(Peer.over(socket), 1)],
  [
    "HTTP/1.1, after a request",
    6 * KIB,
    (socket) =>
      new Promise((resolve) => {
        socket.once("data", () => resolve())
        socket.write('POST /test/v1/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{"text":"hi"}')
      })
  ]
]

describe("idle connections", () => {
  for (const [name, most, use] of kinds) {
    it.live(`${COUNT} of ${name}: at most ${most / KIB} KiB each, calls are served meanwhile, all of it is free at their end`, () =>
      Effect.gen(function* () {
        const server = yield* start
        const first = yield* Effect.promise(() => dial(server.port))
        const peer = Peer.over(first)
        yield* Effect.promise(() => call(peer, 1))
        const before = yield* server.held
        const all = yield* crowd(server.port, use)
        const during = yield* server.held
        const each = (during.bytes - before.bytes) / COUNT
        yield* Effect.log(`${name}: ${Math.round(each)} bytes each, ${Math.round((during.rss - before.rss) / COUNT)} of the process`)
        assert.isBelow(each, most)
        yield* Effect.promise(() => call(peer, 3))
        for (const socket of all) socket.destroy()
        yield* Effect.promise(() => call(peer, 5))
        const after = yield* server.held
        assert.isBelow(after.bytes - before.bytes, 4 * KIB * KIB)
        first.destroy()
      })
    )
  }
})

const ended = (duplex: Duplex): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (duplex.closed) return resume(Effect.void)
    duplex.once("close", () => resume(Effect.void))
    duplex.resume()
    duplex.on("error", () => {})
  })

describe("clients that stall", () => {
  it.live("no SETTINGS, a header block that drips, answers that are not read: each is cut off, and another client does not notice", () =>
    Effect.gen(function* () {
      const server = yield* serve({ wire: sockets, http2: { settingsTimeout: 200, headerTimeout: 200, writeTimeout: 200 } })
      const { echo } = yield* clientOf(server)
      const dialed = yield* Effect.promise(() => Promise.all(Array.from({ length: 3 }, () => dial(server.address.port))))
      const [silent, dripping, deaf] = dialed as [net.Socket, net.Socket, net.Socket]
      // the preface and nothing behind it
      const one = Peer.over(silent, Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1"))
      const two = Peer.over(dripping)
      two.write(Peer.frame(Peer.HEADERS, 0, 1, Peer.request()))
      const drip = Effect.sync(() => two.write(Peer.frame(Peer.CONTINUATION, 0, 1, [])))
      yield* Effect.forkScoped(Effect.repeat(drip, Schedule.spaced("20 millis")))
      // asks for a gigabyte and does not read
      const three = Peer.over(deaf)
      deaf.pause()
      const big = Buffer.concat([Buffer.from([0x12, 0x80, 0x80, 0x40]), Buffer.alloc(1_048_576), Buffer.from([0x18, 0xe8, 0x07])])
      three.write(
        Peer.frame(Peer.SETTINGS, 0, 0, [0, 4, 0x7f, 0xff, 0xff, 0xff]),
        Peer.frame(Peer.WINDOW_UPDATE, 0, 0, Peer.uint32(0x7fff0000 - 1)),
        Peer.frame(Peer.HEADERS, Peer.END_HEADERS, 1, Peer.request("/test.v1.Echo/ServerStream"))
      )
      const body = framed(big)
      for (let at = 0; at < body.length; at += 16_384)
        three.write(Peer.frame(Peer.DATA, at + 16_384 >= body.length ? Peer.END_STREAM : 0, 1, body.subarray(at, at + 16_384)))
      yield* Effect.all([one.closed, two.closed])
      assert.strictEqual(one.goAway, ErrorCode.SETTINGS_TIMEOUT)
      assert.strictEqual(two.goAway, ErrorCode.ENHANCE_YOUR_CALM)
      yield* settled(server.journal)
      assert.strictEqual((yield* echo.unary({ text: "still here" })).text, "still here")
      yield* ended(deaf)
    })
  )

  it.live("half-open: a client that no longer answers pings is dropped, and its call interrupted", () =>
    Effect.gen(function* () {
      const server = yield* serve({ wire: sockets, keepAlive: { interval: 100, timeout: 200 } })
      const socket = yield* Effect.promise(() => dial(server.address.port))
      const peer = Peer.over(socket)
      // reads, but says nothing any more
      peer.write(Peer.frame(Peer.HEADERS, Peer.END_HEADERS, 1, Peer.request("/test.v1.Echo/ClientStream")))
      yield* peer.closed
      assert.isTrue(peer.told.some(({ type }) => type === Peer.PING))
      yield* settled(server.journal)
    })
  )
})

const openssl = (() => {
  try {
    execFileSync("openssl", ["version"])
    return true
  } catch {
    return false
  }
})()

describe.skipIf(!openssl)("clients that stall in TLS (needs openssl)", () => {
  /** A certificate of its own for localhost. */
  const certificate = (): { readonly cert: string; readonly key: string } => {
    const dir = mkdtempSync(join(tmpdir(), "stall-"))
    try {
      const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
      execFileSync("openssl", ["req", "-x509", ...curve, "-keyout", "key", "-out", "cert", "-days", "2", "-subj", "/CN=localhost"], {
        cwd: dir,
        stdio: "pipe"
      })
      return { cert: readFileSync(join(dir, "cert"), "utf8"), key: readFileSync(join(dir, "key"), "utf8") }
    } finally {
      rmSync(dir, { recursive: true })
    }
  }

  it.live("a hundred handshakes that do not begin, stop half-way or drip are closed in time; one that is made meanwhile is served", () =>
    Effect.gen(function* () {
      const { cert, key } = certificate()
      const server = yield* serve({
        wire: sockets,
        tls: { cert: Redacted.make(cert), key: Redacted.make(key), handshakeTimeout: 500 }
      })
      const { port } = server.address
      const stalled = yield* Effect.promise(() => Promise.all(Array.from({ length: 100 }, () => dial(port))))
      // the beginning of a ClientHello of 512 bytes
      const hello = Buffer.concat([Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), Buffer.alloc(20)])
      for (const [i, socket] of stalled.entries()) if (i % 2 === 0) socket.write(hello)
      const drip = Effect.sync(() => stalled.forEach((socket, i) => i % 4 === 0 && !socket.destroyed && socket.write(Buffer.alloc(1))))
      yield* Effect.forkScoped(Effect.repeat(drip, Schedule.spaced("50 millis")))
      const good = tls.connect({
        port,
        host: "127.0.0.1",
        ca: cert,
        servername: "localhost",
        checkServerIdentity: () => undefined,
        ALPNProtocols: ["h2"]
      })
      yield* Effect.promise(() => once(good, "secureConnect"))
      const peer = Peer.over(good)
      yield* Effect.promise(() => call(peer, 1))
      yield* Effect.all(stalled.map(ended), { concurrency: "unbounded" })
      yield* Effect.promise(() => call(peer, 3))
      good.destroy()
    })
  )
})
