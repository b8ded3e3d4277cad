import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import * as http2 from "node:http2"
import * as net from "node:net"
import { duplexPair } from "node:stream"
import { ClientConnection, type ClientOptions } from "../src/ClientConnection.ts"
import { HeaderBlock } from "../src/HeaderBlock.ts"
import type { Headers } from "../src/Headers.ts"
import { ServerConnection, type ServerOptions } from "../src/ServerConnection.ts"
import type { Stream, StreamListener } from "../src/Stream.ts"

// The oracle is node:http2: everything here is what it and the engine must agree upon. It gets real sockets, because over a duplex of JavaScript
// node 24 itself aborts (`session->is_reading_stopped()`) when large bodies cross.

const MIB = 1 << 20
const head = HeaderBlock.make([
  [":status", "200"],
  ["content-type", "application/octet-stream"]
])

const pattern = (length: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + (i >>> 9)) & 255))

const socketPair = async (): Promise<readonly [client: net.Socket, server: net.Socket]> => {
  const listener = net.createServer({ noDelay: true }).listen(0, "127.0.0.1")
  await once(listener, "listening")
  const address = listener.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  const accepted = once(listener, "connection")
  const client = net.connect({ port: address.port, host: "127.0.0.1", noDelay: true })
  const [server] = await accepted
  listener.close()
  return [client, server]
}

const nodeClient = async (options: Omit<ServerOptions, "onClose">) => {
  const [client, server] = await socketPair()
  const closed = Promise.withResolvers<Error | undefined>()
  const connection = ServerConnection.make(server, { recycle: true, ...options, onClose: closed.resolve })
  const session = http2.connect("http://host", { createConnection: () => client, maxSessionMemory: 1000 })
  session.on("error", () => {})
  return { closed: closed.promise, connection, session }
}

const nodeServer = async (
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  options: ClientOptions = {}
) => {
  const [client, server] = await socketPair()
  const sessions: Array<http2.ServerHttp2Session> = []
  const node = http2.createServer({ maxSessionMemory: 1000 })
  node.on("session", (session) => {
    sessions.push(session)
    session.on("error", () => {})
  })
  node.on("stream", (stream, headers) => {
    stream.on("error", () => {})
    onStream(stream, headers)
  })
  node.emit("connection", server)
  const closed = Promise.withResolvers<Error | undefined>()
  return {
    closed: closed.promise,
    connection: ClientConnection.make(client, { recycle: true, ...options, onClose: closed.resolve }),
    sessions
  }
}

/** Collects an exchange; acknowledges what it gets. */
class Collected implements StreamListener {
  stream: Stream | undefined = undefined
  headers: Headers | undefined = undefined
  trailers: Headers | undefined = undefined
  readonly chunks: Array<Buffer> = []
  readonly done = Promise.withResolvers<void>()

  onHeaders(headers: Headers, endStream: boolean): void {
    this.headers = headers
    if (endStream) this.done.resolve()
  }
  onData(data: Uint8Array, endStream: boolean): void {
    this.chunks.push(Buffer.from(data))
    this.stream?.consumed(data.length)
    if (endStream) this.done.resolve()
  }
  onTrailers(trailers: Headers): void {
    this.trailers = trailers
    this.done.resolve()
  }
  onAbort(code: number, processed: boolean): void {
    this.done.reject(new Error(`aborted ${code} ${processed}`))
  }
  get body(): Buffer {
    return Buffer.concat(this.chunks)
  }
}

/** Echoes bodies with a trailer that says their length. */
const echo = (stream: Stream): StreamListener => {
  const request = new Collected()
  request.stream = stream
  void request.done.promise.then(
    () => stream.respond(head, request.body, HeaderBlock.make([["x-length", String(request.body.length)]], { reuse: false })),
    () => {}
  )
  return request
}

const ask = async (session: http2.ClientHttp2Session, body: Buffer, headers: http2.OutgoingHttpHeaders = {}) => {
  const request = session.request({ ":method": "POST", ":path": "/echo", ...headers })
  const chunks: Array<Buffer> = []
  let status = 0
  let trailers: http2.IncomingHttpHeaders = {}
  request.on("response", (response) => (status = Number(response[":status"])))
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("trailers", (fields) => (trailers = fields))
  request.end(body)
  await once(request, "close")
  return { body: Buffer.concat(chunks), status, trailers }
}

const request = (path: string, ...fields: ReadonlyArray<readonly [string, string]>): HeaderBlock =>
  HeaderBlock.make([[":method", "POST"], [":scheme", "http"], [":authority", "host"], [":path", path], ...fields], { reuse: false })

const call = (connection: ClientConnection, block: HeaderBlock, body?: Uint8Array, endStream = true): Collected => {
  const collected = new Collected()
  collected.stream = connection.request(block, collected, body, endStream)
  assert.isDefined(collected.stream)
  return collected
}

describe("our server, node's client", () => {
  it("exchanges small and large bodies with trailers", async () => {
    const { closed, session } = await nodeClient({ onStream: echo })
    for (const size of [1, 100, 16_384, 70_000, 10 * MIB]) {
      const body = pattern(size)
      const answer = await ask(session, body)
      assert.strictEqual(answer.status, 200)
      assert.isTrue(answer.body.equals(body), `${size} bytes`)
      assert.strictEqual(answer.trailers["x-length"], String(size))
    }
    session.close()
    assert.isUndefined(await closed)
  })

  it("serves many streams at a time, with header lists that keep changing", async () => {
    const seen = new Set<string>()
    const { connection, session } = await nodeClient({
      onStream: (stream, headers) => {
        seen.add(`${headers.get("x-id")} ${headers.get("x-long")?.length}`)
        return echo(stream)
      }
    })
    const sizes = Array.from({ length: 200 }, (_, i) => (i * 977) % 40_000)
    const answers = await Promise.all(
      sizes.map((size, i) => ask(session, pattern(size), { "x-id": `${i}`, "x-long": "é".repeat(i * 3), "user-agent": "oracle" }))
    )
    for (const [i, answer] of answers.entries()) assert.isTrue(answer.body.equals(pattern(sizes[i]!)), `stream ${i}`)
    assert.strictEqual(seen.size, 200)
    assert.isTrue(seen.has("7 21"))
    assert.strictEqual(connection.openStreams, 0)
    session.destroy()
  })

  it("hears of a cancel", async () => {
    const aborted = Promise.withResolvers<number>()
    const opened = Promise.withResolvers<void>()
    const { session } = await nodeClient({
      onStream: () => {
        opened.resolve()
        return { onData() {}, onTrailers() {}, onAbort: aborted.resolve }
      }
    })
    const stream = session.request({ ":method": "POST" })
    stream.on("error", () => {})
    await opened.promise
    stream.close(http2.constants.NGHTTP2_CANCEL)
    assert.strictEqual(await aborted.promise, 8)
    session.destroy()
  })

  it("reads trailers of a request and sends informational heads", async () => {
    const trailers = Promise.withResolvers<Headers>()
    const { session } = await nodeClient({
      onStream: (stream) => {
        stream.headers(
          HeaderBlock.make([
            [":status", "103"],
            ["link", "</a>"]
          ]),
          false
        )
        return {
          onData: (data) => stream.consumed(data.length),
          onTrailers: (fields) => {
            trailers.resolve(fields)
            stream.respond(head, new Uint8Array(0), undefined)
          },
          onAbort: () => {}
        }
      }
    })
    const stream = session.request({ ":method": "POST" }, { waitForTrailers: true })
    const informational = once(stream, "headers")
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "1" }))
    stream.end("body")
    assert.strictEqual((await trailers.promise).get("x-sum"), "1")
    assert.strictEqual((await informational)[0][":status"], 103)
    session.destroy()
  })

  it("goes away without losing a request", async () => {
    const { closed, connection, session } = await nodeClient({ onStream: echo })
    const answers = [ask(session, pattern(100_000)), ask(session, pattern(10))]
    await once(session, "remoteSettings")
    const goaway = once(session, "goaway")
    connection.shutdown()
    const [first, second] = await Promise.all(answers)
    assert.strictEqual(first?.body.length, 100_000)
    assert.strictEqual(second?.body.length, 10)
    assert.strictEqual((await goaway)[0], 0)
    assert.isUndefined(await closed)
  })

  it("answers ping", async () => {
    const { connection, session } = await nodeClient({ onStream: echo })
    await once(session, "connect")
    const pong = Promise.withResolvers<Buffer>()
    session.ping(Buffer.from("abcdefgh"), (_error, _duration, payload) => pong.resolve(payload))
    assert.strictEqual((await pong.promise).toString(), "abcdefgh")
    const own = Promise.withResolvers<boolean>()
    connection.ping(own.resolve)
    assert.isTrue(await own.promise)
    session.destroy()
  })
})

describe("our client, node's server", () => {
  const nodeEcho = (stream: http2.ServerHttp2Stream): void => {
    const chunks: Array<Buffer> = []
    stream.on("data", (chunk: Buffer) => chunks.push(chunk))
    stream.on("end", () => {
      const body = Buffer.concat(chunks)
      stream.respond({ ":status": 200, "content-type": "x/y" }, { waitForTrailers: true })
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-length": String(body.length) }))
      stream.end(body)
    })
  }

  it("exchanges small and large bodies with trailers", async () => {
    const { closed, connection } = await nodeServer(nodeEcho)
    for (const size of [1, 100, 16_384, 70_000, 10 * MIB]) {
      const body = pattern(size)
      const answer = call(connection, request("/echo"), body)
      await answer.done.promise
      assert.strictEqual(answer.headers?.status, 200)
      assert.strictEqual(answer.headers?.get("content-type"), "x/y")
      assert.isTrue(answer.body.equals(body), `${size} bytes`)
      assert.strictEqual(answer.trailers?.get("x-length"), String(size))
    }
    connection.shutdown()
    assert.isUndefined(await closed)
  })

  it("makes many calls at a time, with header lists that keep changing", async () => {
    const seen = new Set<string>()
    const { connection } = await nodeServer((stream, headers) => {
      seen.add(`${headers[":path"]} ${headers["x-id"]} ${headers["x-same"]}`)
      nodeEcho(stream)
    })
    const calls: Array<Promise<Collected>> = []
    for (let i = 0; i < 100; i++) {
      const block = HeaderBlock.make(
        [
          [":method", "POST"],
          [":scheme", "http"],
          [":authority", "host"],
          [":path", `/echo/${i}`],
          ["x-id", `${i}`],
          ["x-same", "a value that repeats"]
        ],
        { reuse: i % 3 !== 0, sensitive: i % 2 === 0 ? ["x-id"] : [] }
      )
      const collected = call(connection, block, pattern(i * 300))
      calls.push(collected.done.promise.then(() => collected))
    }
    for (const [i, { body }] of (await Promise.all(calls)).entries()) assert.isTrue(body.equals(pattern(i * 300)), `call ${i}`)
    assert.strictEqual(seen.size, 100)
    assert.isTrue(seen.has("/echo/42 42 a value that repeats"))
    assert.strictEqual(connection.openStreams, 0)
    connection.destroy()
  })

  it("cancels, and hears of a reset", async () => {
    const code = Promise.withResolvers<number>()
    const { connection } = await nodeServer((stream, headers) => {
      if (headers[":path"] === "/reset") {
        stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)
        return
      }
      stream.on("close", () => code.resolve(stream.rstCode))
      stream.respond({ ":status": 200 })
    })
    const waiting = call(connection, request("/wait"))
    const refused = call(connection, request("/reset"), undefined, false)
    assert.match(String(await refused.done.promise.catch((error: unknown) => error)), /aborted 7 false/)
    waiting.stream?.reset(8)
    assert.strictEqual(await code.promise, 8)
    connection.destroy()
  })

  it("streams with back-pressure", async () => {
    const { connection } = await nodeServer((stream) => {
      stream.respond({ ":status": 200 })
      stream.pipe(stream)
    })
    const collected = new Collected()
    let sent = 0
    let waits = 0
    const chunk = pattern(20_000)
    const produce = (): void => {
      while (sent < 3 * MIB) {
        sent += chunk.length
        if (!stream.data(chunk, sent >= 3 * MIB)) {
          waits++
          return
        }
      }
    }
    const stream = connection.request(request("/"), Object.assign(collected, { onDrain: produce }), undefined, false)!
    collected.stream = stream
    produce()
    await collected.done.promise
    assert.strictEqual(collected.body.length, sent)
    assert.isAbove(waits, 3)
    connection.destroy()
  })

  it("finishes what is open when the server goes away", async () => {
    let codes: ReadonlyArray<number> = []
    const { closed, connection, sessions } = await nodeServer(
      (stream) => {
        stream.session?.close()
        stream.respond({ ":status": 200 })
        stream.end("last")
      },
      { onGoAway: (code, lastId) => (codes = [code, lastId]) }
    )
    const answer = call(connection, request("/"))
    await answer.done.promise
    assert.strictEqual(answer.body.toString(), "last")
    assert.isUndefined(await closed)
    assert.strictEqual(codes[0], 0)
    assert.strictEqual(sessions.length, 1)
    assert.isUndefined(connection.request(request("/"), new Collected()))
  })
})

describe("our client, our server", () => {
  it("exchange large bodies both ways over small windows", async () => {
    const [near, far] = duplexPair()
    const server = ServerConnection.make(far, { onStream: echo, initialWindowSize: 10_000, connectionWindowSize: 65_535 })
    const client = ClientConnection.make(near, { initialWindowSize: 5000, connectionWindowSize: 65_535 })
    const calls = Array.from({ length: 5 }, (_, i) => call(client, request(`/${i}`), pattern(MIB + i)))
    await Promise.all(calls.map(({ done }) => done.promise))
    for (const [i, { body, trailers }] of calls.entries()) {
      assert.isTrue(body.equals(pattern(MIB + i)))
      assert.strictEqual(trailers?.get("x-length"), String(MIB + i))
    }
    assert.strictEqual(server.openStreams, 0)
    client.destroy()
  })
})
