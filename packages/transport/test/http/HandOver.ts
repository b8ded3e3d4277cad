/**
 * What holds of a connection that the fast path of HTTP/1.1 has read from before `node:http` got it: it is not to be told from one that `node:http` had
 * from the start. Each conversation begins with requests of the fast path and is held with both.
 */
import { assert, it } from "@effect/vitest"
import * as net from "node:net"
import type { Duplex } from "node:stream"
import { afterAll, beforeAll } from "vitest"
import * as Http1 from "../../src/http/Http1.ts"
import * as Http1Fast from "../../src/http/Http1Fast.ts"
import { EMPTY, type Handler } from "../../src/http/HttpExchange.ts"
import type { DeadlineTimers } from "../../src/DeadlineTimers.ts"

/** How the two ends of a connection are made: in clear text or over TLS. */
export interface Wire {
  readonly listen: (onSocket: (socket: net.Socket) => void) => net.Server
  readonly connect: (port: number) => net.Socket
}

const turns = async (n: number): Promise<void> => {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve))
}

const PIECE = Buffer.alloc(50_000, "0123456789")

/** `/later…` is answered some turns later, `/big/N` with N pieces, `/sum…` with the length of its body, which it takes slowly; a WebSocket gets back what it sends. */
const handler: Handler = (exchange) => {
  const { target } = exchange
  const answer = (text: string): void => exchange.respond(200, [["content-type", "text/plain"]], Buffer.from(text))
  if (target.startsWith("/socket") && Http1.isNode(exchange)) {
    const taken = exchange.takeSocket()
    if (taken !== undefined) return void echo(taken.socket, taken.head)
  }
  if (target.startsWith("/later")) return void turns(3).then(() => answer(target))
  if (target.startsWith("/big")) {
    let left = Number(target.slice(5))
    exchange.start(200, [["content-length", String(left * PIECE.length)]])
    const go = (): void => {
      while (left > 0) if ((left--, !exchange.write(PIECE))) return
      if (left === 0) exchange.finish(EMPTY)
      left = -1
    }
    exchange.whenDrained(go)
    return go()
  }
  if (target.startsWith("/sum")) {
    let sum = 0
    exchange.whenAborted(() => aborted.push(target))
    return exchange.readStream({
      onData: (chunk) => {
        sum += chunk.length
        void turns(2).then(() => exchange.consumed(chunk.length))
      },
      onEnd: () => answer(`${target} ${sum}`)
    })
  }
  exchange.readBody(1_000_000, (body) => answer(`${target} ${body instanceof Uint8Array ? body.length : "?"}`))
}

/** Stands still first, so that the client is ahead. */
const echo = async (socket: Duplex, head: Buffer): Promise<void> => {
  socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
  socket.on("error", () => {})
  if (head.length > 0) socket.unshift(head)
  socket.pause()
  await turns(5)
  socket.pipe(socket)
}

let aborted: Array<string> = []

const timers: DeadlineTimers = { now: () => 1_000_000, add: (_at, expire) => ({ slot: undefined as never, expire }), remove: () => {} }
const origin = { address: "test", endpoint: "", identity: undefined }
const life = (): Http1Fast.Life => ({ retired: false, served: false })

const FAST = "GET /fast HTTP/1.1\r\nHost: h\r\n\r\n"
const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`
/** A request for `node:http`, answered like those that are not. */
const foreign = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n`
const UPGRADE =
  "GET /socket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`

/** The client's side of a conversation. */
interface Client {
  readonly socket: net.Socket
  readonly send: (text: string) => Promise<void>
  readonly text: () => string
  readonly until: (holds: (text: string) => boolean) => Promise<void>
}

/** Without fields about time and the connection, whose case differs. */
const normal = (text: string): string =>
  text.replace(/^(?:date|connection|keep-alive): .*\r\n/gim, "").replaceAll(/^[a-z-]+: /gim, (name) => name.toLowerCase())

const count = (text: string, part: string): number => text.split(part).length - 1

export const laws = (make: () => Wire): void => {
  let wire: Wire
  let ports: { readonly fast: number; readonly node: number }
  let takenByFast = 0
  const closers: Array<() => void> = []
  beforeAll(async () => {
    wire = make()
    const options = { maxHeaderBytes: 65_536, headersTimeout: 60_000, keepAliveTimeout: 65_000, timers }
    const [behind, alone] = [Http1.make(handler, options), Http1.make(handler, options)]
    const fast = Http1Fast.make({
      handler: (exchange) => (takenByFast++, handler(exchange)),
      eligible: (_method, target) => target.startsWith("/fast") || target.startsWith("/later"),
      handOff: (duplex, _origin, life) => behind.accept(duplex, origin, life),
      timers,
      keepAliveTimeout: 65_000,
      maxHeaderBytes: 65_536
    })
    const listen = async (onSocket: (socket: net.Socket) => void): Promise<number> => {
      const server = wire.listen(onSocket)
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      closers.push(() => server.close())
      return (server.address() as net.AddressInfo).port // it listens on a port
    }
    ports = {
      fast: await listen((socket) => {
        const first = (): void => {
          const bytes = socket.read() as Buffer | null // no encoding is set
          if (bytes === null) return
          socket.removeListener("readable", first)
          fast.accept(socket, origin, bytes, life())
        }
        socket.on("readable", first)
      }),
      node: await listen((socket) => alone.accept(socket, origin, life()))
    }
    closers.push(
      () => fast.shutdown(),
      () => behind.destroy(),
      () => alone.destroy()
    )
  })
  afterAll(() => closers.forEach((close) => close()))

  const converse = async (port: number, conversation: (client: Client) => Promise<void>): Promise<string> => {
    const socket = wire.connect(port)
    socket.setNoDelay(true)
    const parts: Array<Buffer> = []
    socket.on("data", (part: Buffer) => parts.push(part))
    socket.on("error", () => {})
    const text = (): string => Buffer.concat(parts).toString("latin1")
    await conversation({
      socket,
      send: (text) => new Promise((resolve) => void socket.write(text, "latin1", () => resolve())),
      text,
      until: async (holds) => {
        while (!holds(text()) && !socket.closed) await turns(1)
      }
    })
    socket.destroy()
    return normal(text())
  }

  /** The same with both, to the same end. `first` requests of the fast path come before, in a read of their own. */
  const same = async (conversation: (client: Client) => Promise<void>): Promise<string> => {
    const begun = async (client: Client): Promise<void> => {
      await client.send(FAST + FAST)
      await client.until((text) => count(text, "/fast 0") === 2)
      await conversation(client)
    }
    takenByFast = 0
    const got = await converse(ports.fast, begun)
    assert.isAtLeast(takenByFast, 2, "the conversation begins on the fast path")
    assert.strictEqual(got, await converse(ports.node, begun))
    return got
  }

  it("pipelined requests of both kinds, whole and in parts", async () => {
    const requests = [get("/fast1"), foreign("/fast2"), get("/fast3"), foreign("/x"), get("/fast4")].join("")
    const done = (text: string): boolean => text.includes("/fast4 0")
    const text = await same(async ({ send, until }) => {
      await send(requests)
      await until(done)
    })
    for (const target of ["/fast1", "/fast2", "/fast3", "/x"]) assert.include(text, `${target} 0`)
    await same(async ({ send, until }) => {
      for (let i = 0; i < requests.length; i += 7) await send(requests.slice(i, i + 7))
      await until(done)
    })
  })

  it("what came behind a request that is still being answered, in many reads", async () => {
    const text = await same(async ({ send, until }) => {
      await send(get("/later"))
      await send(`POST /sum HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${chunk("abc")}`)
      for (let i = 0; i < 50; i++) await send(chunk("0123456789"))
      await send("0\r\n\r\n" + get("/fast-end"))
      await until((text) => text.includes("/fast-end 0"))
    })
    assert.include(text, "/sum 503")
  })

  it("a body that comes faster than it is taken", async () => {
    const text = await same(async ({ send, until }) => {
      await send(get("/fast1") + "POST /sum HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n")
      for (let i = 0; i < 80; i++) await send(PIECE.toString("latin1"))
      await until((text) => text.includes("/sum"))
      await send(get("/fast2"))
      await until((text) => text.includes("/fast2 0"))
    })
    assert.include(text, "/sum 4000000")
  })

  it("a reply that is read slowly, and a request behind it", async () => {
    const text = await same(async ({ send, socket, until }) => {
      socket.pause()
      await send(foreign("/big/100"))
      await turns(20)
      await send(get("/fast2"))
      await turns(5)
      socket.resume()
      await until((text) => text.includes("/fast2 0"))
    })
    assert.isAbove(text.length, 100 * PIECE.length)
  })

  it("many pipelined requests whose replies are not read for a while", async () => {
    const text = await same(async ({ send, socket, until }) => {
      socket.pause()
      await send(foreign("/x"))
      const sent = []
      for (let i = 0; i < 40; i++) sent.push(send(get("/later").repeat(100)))
      await turns(50)
      socket.resume()
      await Promise.all(sent)
      await send(get("/fast-end"))
      await until((text) => text.includes("/fast-end 0"))
    })
    assert.strictEqual(count(text, "\r\n\r\n/later"), 4000)
  })

  it("a client that waits for 100 Continue", async () => {
    const text = await same(async ({ send, until }) => {
      await send("POST /sum HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
      await until((text) => text.includes("100 Continue"))
      await send("hello" + get("/fast-end"))
      await until((text) => text.includes("/fast-end 0"))
    })
    assert.include(text, "/sum 5")
  })

  it("a WebSocket, with bytes behind its head and more than its reader takes", async () => {
    const bytes = PIECE.toString("latin1")
    const text = await same(async ({ send, until }) => {
      await send(UPGRADE + "first")
      const sent = []
      for (let i = 0; i < 60; i++) sent.push(send(bytes))
      await Promise.all(sent)
      await send("last")
      await until((text) => text.endsWith("last"))
    })
    assert.strictEqual(text.slice(text.lastIndexOf("\r\n\r\n") + 4), `first${bytes.repeat(60)}last`)
  })

  it("a client that ends in the middle of a body, and one that ends behind its request", async () => {
    for (const request of ["POST /sum-cut HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello", foreign("/big/20")]) {
      const ends: Array<ReadonlyArray<string>> = []
      await same(async ({ send, socket, until }) => {
        aborted = []
        await send(request)
        socket.end()
        await until(() => false)
        while (request.startsWith("POST") && aborted.length === 0) await turns(1)
        ends.push(aborted)
      })
      assert.deepStrictEqual(ends[0], ends[1])
      assert.deepStrictEqual(ends[0], request.startsWith("POST") ? ["/sum-cut"] : [])
    }
  })

  it("a client that resets its connection", async () => {
    const ends: Array<ReadonlyArray<string>> = []
    await same(async ({ send, socket }) => {
      aborted = []
      await send("POST /sum-reset HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello")
      await turns(5)
      // which TLS does not offer
      if ("encrypted" in socket) socket.destroy()
      else socket.resetAndDestroy()
      while (aborted.length === 0) await turns(1)
      ends.push(aborted)
    })
    assert.deepStrictEqual(ends, [["/sum-reset"], ["/sum-reset"]])
  })
}
