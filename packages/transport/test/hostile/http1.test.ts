/** Slow and broken clients of HTTP/1.1 on the fast path: what they cost is bounded, and they are closed when their time is over. */
import { assert, describe, it } from "@effect/vitest"
import type { Duplex } from "node:stream"
import type { DeadlineTimers } from "../../src/DeadlineTimers.ts"
import * as Http1 from "../../src/http/Http1.ts"
import * as Http1Fast from "../../src/http/Http1Fast.ts"
import { type Handler, EMPTY } from "../../src/http/HttpExchange.ts"
import * as MemoryDuplex from "../../src/MemoryDuplex.ts"

const origin = { address: "test", endpoint: "", identity: undefined }
const life = { retired: false, served: false }
const KEEP_ALIVE = 65_000

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** A server whose clock is moved by hand. */
const serve = () => {
  const pending = new Set<{ readonly at: number; readonly expire: () => void }>()
  const counts = { looked: 0, asked: [] as Array<string>, handedOff: 0 }
  const clock = { time: 1_000_000 }
  const timers: DeadlineTimers = {
    now: () => clock.time,
    add: (at, expire) => {
      const timer = { slot: undefined as never, at, expire }
      pending.add(timer)
      return timer
    },
    // only what `add` has given
    remove: (timer) => void pending.delete(timer as never)
  }
  const handler: Handler = (exchange) =>
    exchange.readBody(100_000, (body) => {
      counts.asked.push(`${exchange.target} ${body instanceof Uint8Array ? body.length : body.code}`)
      exchange.respond(200, [["content-length", "0"]], EMPTY)
    })
  const fast = Http1Fast.make({
    handler,
    eligible: () => {
      counts.looked++
      return true
    },
    handOff: (duplex) => {
      counts.handedOff++
      duplex.resume()
    },
    timers,
    keepAliveTimeout: KEEP_ALIVE,
    maxHeaderBytes: 65_536
  })
  const connect = (first: string): Duplex => {
    const [client, server] = MemoryDuplex.make()
    client.resume()
    fast.accept(server, origin, Buffer.from(first), life)
    return client
  }
  return {
    counts,
    connect,
    /** Time goes on. */
    pass: async (milliseconds: number): Promise<void> => {
      clock.time += milliseconds
      for (const timer of pending) {
        if (timer.at > clock.time) continue
        pending.delete(timer)
        timer.expire()
      }
      for (let i = 0; i < 4; i++) await turn()
    }
  }
}

describe("slow clients of HTTP/1.1", () => {
  it("a body byte by byte: its head is looked at once, and it waits for no longer than an idle connection", async () => {
    const { connect, counts, pass } = serve()
    const head = `POST /slow HTTP/1.1\r\nHost: a\r\nX-Long: ${"x".repeat(10_000)}\r\nContent-Length: 500\r\n\r\n`
    const client = connect(head)
    for (let i = 0; i < 499; i++) {
      client.write("b")
      await turn()
    }
    assert.strictEqual(counts.looked, 1)
    assert.deepStrictEqual(counts.asked, [])
    client.write("b")
    for (let i = 0; i < 4; i++) await turn()
    assert.deepStrictEqual(counts.asked, ["/slow 500"])
    await pass(KEEP_ALIVE)
    assert.isTrue(client.readableEnded || client.destroyed)
  })

  it("a body that stops: closed after the time of an idle connection, whatever drips in", async () => {
    const { connect, counts, pass } = serve()
    const client = connect("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
    for (let i = 0; i < 13; i++) {
      assert.isFalse(client.readableEnded)
      client.write("b")
      await pass(KEEP_ALIVE / 13)
    }
    assert.isTrue(client.readableEnded || client.destroyed)
    assert.deepStrictEqual(counts.asked, [])
  })

  it("a head that does not come whole, or a body that is long, is left to node:http and its timeouts", () => {
    for (const first of [
      "GET /a HTTP/1.1\r\nHost: a\r\n",
      "G",
      "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 16385\r\n\r\n",
      `GET /a HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(65_536)}\r\n\r\n`
    ]) {
      const { connect, counts } = serve()
      connect(first)
      assert.strictEqual(counts.handedOff, 1)
    }
  })

  it("requests in a pipeline whose replies are not read: one waits for the other, and the rest for the client", async () => {
    const { connect, counts } = serve()
    const client = connect("GET /0 HTTP/1.1\r\nHost: a\r\n\r\n")
    client.pause()
    const part = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000)
    let written = 0
    for (; written < 200 && !client.writableNeedDrain; written++) {
      client.write(part)
      for (let i = 0; i < 4; i++) await turn()
    }
    // 28 KiB each: what both ends of a connection keep, and 64 KiB in between
    assert.isBelow(written, 10)
    assert.isBelow(counts.asked.length, 1000)
    const before = counts.asked.length
    client.resume()
    for (let i = 0; i < 2000 && counts.asked.length < 1 + written * 1000; i++) await turn()
    assert.isAbove(counts.asked.length, before)
    assert.strictEqual(counts.asked.length, 1 + written * 1000)
  })

  it("a head that takes too long is 408, one that is too large 431, the rest 400; the connection ends", async () => {
    const timers = { now: () => 0, add: (_at: number, expire: () => void) => ({ slot: undefined as never, expire }), remove: () => {} }
    const http1 = Http1.make(() => {}, { maxHeaderBytes: 65_536, headersTimeout: 60_000, keepAliveTimeout: KEEP_ALIVE, timers })
    for (const [code, status] of [
      ["ERR_HTTP_REQUEST_TIMEOUT", 408],
      ["HPE_HEADER_OVERFLOW", 431],
      ["HPE_INVALID_HEADER_TOKEN", 400]
    ] as const) {
      const [client, server] = MemoryDuplex.make()
      let text = ""
      client.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")))
      // as Node does when the time of a head is over
      http1.server.emit("clientError", Object.assign(new Error(code), { code }), server)
      for (let i = 0; i < 6; i++) await turn()
      assert.match(text, new RegExp(`^HTTP/1.1 ${status} `))
      assert.isTrue(client.readableEnded || client.destroyed)
    }
    http1.destroy()
  })
})
