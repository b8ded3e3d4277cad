/**
 * The fast path of HTTP/1.1 is not to be told from `node:http`: for a corpus of requests, well-formed and hostile, in every cut, both give the same
 * replies and leave the connection in the same state.
 */
import { assert, describe, it } from "@effect/vitest"
import * as net from "node:net"
import { afterAll, beforeAll } from "vitest"
import * as Http1 from "../src/http/Http1.ts"
import * as Http1Fast from "../src/http/Http1Fast.ts"
import * as Http1Head from "../src/http/Http1Head.ts"
import { type Handler, EMPTY } from "../src/http/HttpExchange.ts"
import type { DeadlineTimers } from "../src/DeadlineTimers.ts"

const origin = { address: "test", endpoint: "", identity: undefined }

/** Answers with what it was asked. */
const handler: Handler = (exchange) =>
  exchange.readBody(1000, (body) => {
    if (!(body instanceof Uint8Array)) return exchange.respond(413, [["content-length", "0"]], EMPTY)
    const text = JSON.stringify([
      exchange.method,
      exchange.target,
      exchange.authority,
      exchange.header("x-a") ?? null,
      Buffer.from(body).toString("latin1")
    ])
    const bytes = Buffer.from(text, "latin1")
    exchange.respond(
      200,
      [
        ["content-type", "text/plain"],
        ["content-length", String(bytes.length)]
      ],
      bytes
    )
  })

const timers = (): DeadlineTimers & { readonly fire: () => void; readonly size: () => number; time: number } => {
  const pending = new Set<{ readonly expire: () => void }>()
  const self = {
    time: 1_000_000,
    now: () => self.time,
    add: (_at: number, expire: () => void) => {
      const timer = { slot: undefined as never, expire }
      pending.add(timer)
      return timer
    },
    remove: (timer: { readonly expire: () => void }) => void pending.delete(timer),
    fire: () => [...pending].forEach((timer) => (pending.delete(timer), timer.expire())),
    size: () => pending.size
  }
  return self
}

let fastPort = 0
let nodePort = 0
let taken = 0
const clock = timers()
const closers: Array<() => void> = []
let fast: Http1Fast.Http1Fast

beforeAll(async () => {
  const http1 = () => Http1.make(handler, { maxHeaderBytes: 65_536, headersTimeout: 60_000, keepAliveTimeout: 65_000, timers: clock })
  const [a, b] = [http1(), http1()]
  fast = Http1Fast.make({
    handler: (exchange) => {
      taken++
      handler(exchange)
    },
    eligible: (_method, target) => !target.startsWith("/slow"),
    handOff: (duplex, _origin, life) => a.accept(duplex, origin, life),
    timers: clock,
    keepAliveTimeout: 65_000,
    maxHeaderBytes: 65_536
  })
  const listen = async (onSocket: (socket: net.Socket) => void) => {
    const server = net.createServer(onSocket)
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    closers.push(() => server.close())
    return (server.address() as net.AddressInfo).port
  }
  fastPort = await listen((socket) =>
    socket.once(
      "data",
      (first: Buffer) => (socket.pause(), fast.accept(socket, origin, first, { retired: false, served: false }), socket.resume())
    )
  )
  nodePort = await listen((socket) => b.accept(socket, origin, { retired: false, served: false }))
  closers.push(
    () => a.destroy(),
    () => b.destroy(),
    () => fast.shutdown()
  )
})
afterAll(() => closers.forEach((close) => close()))

/** Sends the pieces, one read each, and collects until the server closes or the marker request that follows was answered. */
const talk = (port: number, pieces: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1")
    let text = ""
    socket.setNoDelay(true)
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
      if (text.includes("/the-end")) socket.destroy()
    })
    socket.on("close", () => resolve(normalise(text)))
    socket.on("error", (error: Error & { code?: string }) =>
      error.code === "ECONNRESET" || error.code === "EPIPE" ? resolve(normalise(text)) : reject(error)
    )
    let i = 0
    const next = (): void => {
      if (i < pieces.length && !socket.destroyed) socket.write(pieces[i++]!, "latin1", () => setImmediate(next))
    }
    next()
  })

/** What may differ: fields about time and the connection, their case, and the reply to the marker. */
const normalise = (text: string): string =>
  text.replace(/^(?:date|connection|keep-alive): .*\r\n/gim, "").replace(/HTTP\/1\.1 200 OK\r\n[^{[]*\["GET","\/the-end"[^\]]*\]/, "END")

const MARKER = "GET /the-end HTTP/1.1\r\nHost: h\r\n\r\n"

const corpus: ReadonlyArray<readonly [name: string, request: string]> = [
  ["a get", "GET /a?b=c%20d HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n"],
  ["a post", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"],
  ["two pipelined", "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok"],
  ["one for each path", "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /slow HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["keep-alive said aloud", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n"],
  ["close", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"],
  ["spaces around a value", "GET /a HTTP/1.1\r\nHost: h\r\nX-A: \t v w \t\r\n\r\n"],
  ["an octet above ASCII in a value", "GET /a HTTP/1.1\r\nHost: h\r\nX-A: caf\u00e9\r\n\r\n"],
  ["a delete with a body", "DELETE /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"],
  ["chunked", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
  ["chunked and a length", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["an encoding behind a tab", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n"],
  ["an unknown encoding", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n"],
  ["two lengths alike", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"],
  ["two lengths that differ", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy"],
  ["a list of lengths", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\nx"],
  ["a signed length", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx"],
  ["a hexadecimal length", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0x1\r\n\r\nx"],
  ["an empty length", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n"],
  ["no host", "GET /a HTTP/1.1\r\nX-A: 1\r\n\r\n"],
  ["a space before the colon", "GET /a HTTP/1.1\r\nHost: h\r\nX-A : 1\r\n\r\n"],
  ["a space before a name", "GET /a HTTP/1.1\r\nHost: h\r\n X-A: 1\r\n\r\n"],
  ["a folded value", "GET /a HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n 2\r\n\r\n"],
  ["a bare LF between fields", "GET /a HTTP/1.1\r\nHost: h\nX-A: 1\r\n\r\n"],
  ["a bare CR in a value", "GET /a HTTP/1.1\r\nHost: h\r\nX-A: 1\r2\r\n\r\n"],
  ["a NUL in a value", "GET /a HTTP/1.1\r\nHost: h\r\nX-A: 1\u00002\r\n\r\n"],
  ["an empty name", "GET /a HTTP/1.1\r\nHost: h\r\n: 1\r\n\r\n"],
  ["a line without a colon", "GET /a HTTP/1.1\r\nHost: h\r\nX-A\r\n\r\n"],
  ["an unknown method", "BREW /a HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["a method in lower case", "get /a HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["two spaces before the version", "GET /a  HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["a space in the path", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["version 1.0", "GET /a HTTP/1.0\r\nHost: h\r\n\r\n"],
  ["version 1.2", "GET /a HTTP/1.2\r\nHost: h\r\n\r\n"],
  ["version in lower case", "GET /a http/1.1\r\nHost: h\r\n\r\n"],
  ["no version", "GET /a\r\nHost: h\r\n\r\n"],
  ["the absolute form", "GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["the asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["two slashes", "GET //a HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["an empty line first", "\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["expect", "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"],
  ["an unknown upgrade", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n"],
  ["a head request", "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["garbage", "\u0001\u0002\u0003\r\n\r\n"]
]

describe("the fast path of HTTP/1.1", () => {
  it.each(corpus)("answers like node:http: %s", async (_name, request) => {
    const whole = [request + MARKER]
    const expected = await talk(nodePort, whole)
    assert.strictEqual(await talk(fastPort, whole), expected, "in one read")
    assert.strictEqual(await talk(fastPort, [request, MARKER]), expected, "the next request in a read of its own")
    const cut = Math.floor(request.length / 2)
    assert.strictEqual(await talk(fastPort, [request.slice(0, cut), request.slice(cut) + MARKER]), expected, "cut in the middle")
  })

  it.each(corpus)("answers like node:http behind a request of its own: %s", async (_name, request) => {
    const first = corpus[0]![1]
    const expected = await talk(nodePort, [first, request, MARKER])
    assert.strictEqual(await talk(fastPort, [first, request, MARKER]), expected, "in reads of their own")
    const cut = Math.floor(request.length / 2)
    assert.strictEqual(
      await talk(fastPort, [first + request.slice(0, cut), request.slice(cut, -1), request.slice(-1), MARKER]),
      expected,
      "in parts"
    )
  })

  it("takes what is well-formed, and leaves the rest", async () => {
    taken = 0
    await talk(fastPort, [corpus[0]![1] + corpus[1]![1] + MARKER])
    assert.strictEqual(taken, 3)
    await talk(fastPort, [corpus[9]![1] + MARKER])
    assert.strictEqual(taken, 3, "a chunked request and what follows it belong to node:http")
  })

  it.each(["INVALID CONNECTION PREFACE\r\n\r\n", "\u0001\u0002\u0003\r\n\r\n"])(
    "answers an unknown method, and nothing to what is no request: %j",
    async (first) => {
      assert.match(await talk(fastPort, ["BREW /a HTTP/1.1\r\nHost: h\r\n\r\n"]), /^HTTP\/1\.1 400 /)
      assert.strictEqual(await talk(fastPort, [first]), "")
    }
  )

  it("waits for a body that comes later, one byte at a time", async () => {
    taken = 0
    const request = "POST /late HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n"
    const text = await talk(fastPort, [request, ..."abcdef", MARKER])
    assert.include(text, '"abcdef"')
    assert.strictEqual(taken, 2)
  })

  it("refuses a body over the limit and goes on, since it was read", async () => {
    const text = await talk(fastPort, [`POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n${"x".repeat(1001)}${MARKER}`])
    assert.match(text, /^HTTP\/1.1 413 [^]*END$/)
  })

  it("lets no value begin a line of its own", () => {
    assert.isUndefined(Http1Head.parse("GET / HTTP/1.1\r\nHost: h\r\nX: a\u007f"))
    assert.isUndefined(Http1Head.parse("GET / HTTP/1.1\r\nHost: h\r\nHost: g"))
    assert.deepStrictEqual(Http1Head.parse("GET /x HTTP/1.1\r\nHost: h\r\nA: b")?.fields, ["host", "h", "a", "b"])
  })

  it("closes a connection that was idle for the time, and not earlier", async () => {
    const socket = net.connect(fastPort, "127.0.0.1")
    await new Promise<void>((resolve) => {
      socket.once("data", () => resolve())
      socket.write("GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
    })
    clock.time += 64_000
    clock.fire()
    assert.isFalse(socket.destroyed)
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
    socket.resume()
    clock.time += 65_000
    clock.fire()
    await closed
  })
})
