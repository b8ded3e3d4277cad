/** HTTP/1.1: whatever the fast path understands, `node:http` understands the same; a difference is a way to smuggle requests. */
import { createRequire } from "node:module"
import type { Duplex } from "node:stream"
import * as Http1 from "../../../packages/transport/src/http/Http1.ts"
import * as Http1Fast from "../../../packages/transport/src/http/Http1Fast.ts"
import * as Http1Head from "../../../packages/transport/src/http/Http1Head.ts"
import { EMPTY, type Handler } from "../../../packages/transport/src/http/HttpExchange.ts"
import * as MemoryDuplex from "../../../packages/transport/src/MemoryDuplex.ts"
import type { DeadlineTimers } from "../../../packages/transport/src/DeadlineTimers.ts"
import { mutate } from "../Mutation.ts"
import type { Random } from "../Random.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

const WORDS = [
  "\r\n",
  "\n",
  "\r",
  " ",
  "\t",
  ":",
  "HTTP/1.1",
  "HTTP/1.0",
  "GET",
  "POST",
  "PUT",
  "QUERY",
  "Host: h\r\n",
  "host:",
  "Content-Length: 3\r\n",
  "Content-Length: 0\r\n",
  "content-length:",
  "Transfer-Encoding: chunked\r\n",
  "transfer-encoding:",
  "Connection: close\r\n",
  "Connection: keep-alive\r\n",
  "connection: keep-alive, x\r\n",
  "Upgrade: websocket\r\n",
  "Expect: 100-continue\r\n",
  "TE: trailers\r\n",
  "Keep-Alive: 1\r\n",
  "Proxy-Connection: close\r\n",
  "X-A: 1\r\n",
  "X-A:\r\n",
  "x y: 1\r\n",
  "0\r\n\r\n",
  "3\r\nabc\r\n",
  "/a",
  "//a",
  "http://h/a",
  "*",
  "?q=1",
  "#f",
  "%00",
  "\0",
  "\x7f",
  "\x80",
  "\xff",
  "_",
  ";",
  ",",
  "+3",
  "0x3",
  "3, 3",
  " 3",
  "3 ",
  "99999999999"
]

const line = (random: Random): string =>
  random.pick([
    "Host: h",
    "X-A: v",
    "x-b:\t w \t",
    "Content-Length: 3",
    "Content-Length: 0",
    "Accept: */*",
    "Connection: keep-alive",
    "Content-Type: text/plain",
    `X-${random.octets(3)}: ${random.octets(12)}`
  ])

const headOf = (random: Random): string => {
  let head = `${random.pick(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"])} /${random.pick(["", "a", "a?b=c", "%20", "slow"])} HTTP/1.1\r\nHost: h\r\n`
  for (let i = random.below(4); i > 0; i--) head += `${line(random)}\r\n`
  return `${head}\r\n`
}

interface Parsed {
  readonly method: string
  readonly target: string
  readonly fields: ReadonlyArray<string>
  readonly keepAlive: boolean
  readonly upgrade: boolean
  readonly bodyBytes: number
}

interface Parser {
  [key: number]: unknown
  readonly initialize: (type: number, resource: object, maxHeaderSize: number, flags: number) => void
  readonly execute: (bytes: Buffer) => number | Error
}

// Node's own parser (llhttp), as `node:http` drives it; Node has no types for it
const { HTTPParser, methods } = createRequire(import.meta.url)("node:_http_common") as {
  readonly HTTPParser: { new (): Parser } & Readonly<Record<string, number>>
  readonly methods: ReadonlyArray<string>
}

let idle: Parser | undefined

/** The first message in `bytes`, whole; undefined when Node refuses it or waits for more. */
const nodeParse = (bytes: Buffer): Parsed | undefined => {
  const parser = (idle ??= new HTTPParser())
  parser.initialize(HTTPParser["REQUEST"]!, {}, 65_536, 0)
  const fields: Array<string> = []
  let parsed: Omit<Parsed, "bodyBytes"> | undefined
  let done: Parsed | undefined
  let bodyBytes = 0
  let early: string | undefined
  // heads of more than 32 fields come in parts
  parser[HTTPParser["kOnHeaders"]!] = (more: ReadonlyArray<string>, target: string) => {
    fields.push(...more)
    early = target === "" ? early : target
  }
  parser[HTTPParser["kOnHeadersComplete"]!] = (
    _major: number,
    minor: number,
    more: ReadonlyArray<string> | undefined,
    method: number,
    target: string | undefined,
    _code: unknown,
    _text: unknown,
    upgrade: boolean,
    keepAlive: boolean
  ) => {
    if (more !== undefined) fields.push(...more)
    if (done === undefined && parsed === undefined && minor === 1)
      parsed = { method: methods[method]!, target: target ?? early ?? "", fields: fields.splice(0), keepAlive, upgrade }
    return 0
  }
  parser[HTTPParser["kOnBody"]!] = (part: Buffer) => void (done ?? (bodyBytes += part.length))
  parser[HTTPParser["kOnMessageComplete"]!] = () => {
    if (parsed !== undefined) done ??= { ...parsed, bodyBytes }
  }
  parser.execute(bytes)
  return done
}

export const head: Target = {
  name: "http1-head",
  share: 20,
  law: "a head that the fast path takes, Node's parser reads the same: method, target, fields, length of the body, fate of the connection",
  make: (random) => mutate(random, headOf(random).slice(0, -4), WORDS, 3),
  run: (text) => {
    // as the caller does: everything before the first empty line
    const end = text.indexOf("\r\n\r\n")
    const only = end < 0 ? text : text.slice(0, end)
    const ours = Http1Head.parse(only)
    if (ours === undefined) return
    const length = Math.min(ours.contentLength, 100_000)
    if (length < ours.contentLength) return
    const theirs = nodeParse(bytesOf(`${only}\r\n\r\n${"b".repeat(length)}GET /next HTTP/1.1\r\nHost: h\r\n\r\n`))
    holds(theirs !== undefined, () => `Node refuses it`)
    const [mine, node] = [
      [ours.method, ours.target, ours.contentLength, true, false, ...ours.fields],
      [
        theirs!.method,
        theirs!.target,
        theirs!.bodyBytes,
        theirs!.keepAlive,
        theirs!.upgrade,
        ...theirs!.fields.map((field, i) => (i % 2 === 0 ? field.toLowerCase() : field))
      ]
    ].map((list) => JSON.stringify(list))
    holds(mine === node, () => `ours ${mine}, Node's ${node}`)
    holds(ours.fields.filter((field, i) => i % 2 === 0 && field === "host").length === 1, () => "not one host")
  }
}

// ---- whole conversations

const life = () => ({ retired: false, served: false })
const origin = { address: "fuzz", endpoint: "", identity: undefined }

/** The requests of the conversation under way, as a handler sees them. */
interface Seen {
  readonly head: string
  body: string | undefined
}
let seen: Array<Seen> = []

const handler: Handler = (exchange) => {
  const { authority, method, target } = exchange
  const request: Seen = {
    head: JSON.stringify([method, target, authority, exchange.header("x-a") ?? null, ...exchange.fields]),
    body: undefined
  }
  seen.push(request)
  exchange.readBody(1000, (body) => {
    request.body = body instanceof Uint8Array ? textOf(body) : "too large"
    exchange.respond(200, [["content-length", "0"]], EMPTY)
  })
}

const timers: DeadlineTimers = { now: () => 0, add: (_at, expire) => ({ slot: undefined as never, expire }), remove: () => {} }
const limits = { maxHeaderBytes: 65_536, headersTimeout: 60_000, keepAliveTimeout: 65_000, timers }

let made: { readonly fast: Http1Fast.Http1Fast; readonly node: Http1.Http1 } | undefined
const servers = () => {
  if (made !== undefined) return made
  const node = Http1.make(handler, limits)
  made = {
    node,
    fast: Http1Fast.make({
      handler,
      eligible: (_method, target) => !target.startsWith("/slow"),
      handOff: (duplex) => node.accept(duplex, origin, life()),
      ...limits
    })
  }
  return made
}

/** Turns of the loop without a word after which a conversation is over. */
const PATIENCE = 8

/** What a server sees of these parts, each in a read of its own. */
const converse = (accept: (duplex: Duplex, first: Buffer) => void, parts: ReadonlyArray<string>): Promise<ReadonlyArray<Seen>> =>
  new Promise((resolve) => {
    const [client, server] = MemoryDuplex.make()
    const requests = (seen = [])
    let idle = 0
    client.on("data", () => (idle = 0))
    client.on("error", () => {})
    server.on("error", () => {})
    server.once("data", (first: Buffer) => {
      server.pause()
      accept(server, first)
      server.resume()
    })
    const rest = [...parts]
    const turn = (): void => {
      const part = rest.shift()
      if (part !== undefined && !client.destroyed) client.write(bytesOf(part))
      if (rest.length > 0 || (!client.destroyed && !client.readableEnded && idle++ < PATIENCE)) return void setImmediate(turn)
      client.destroy()
      server.destroy()
      resolve(requests)
    }
    turn()
  })

export const exchange: Target = {
  name: "http1-exchange",
  share: 0.02,
  law: "the requests of a conversation are the same on the fast path as on node:http, in any cut",
  make: (random) => {
    let text = ""
    for (let i = 1 + random.below(3); i > 0; i--) {
      const one = headOf(random)
      text += one + (/content-length: 3/i.test(one) ? "abc" : "")
    }
    return String.fromCharCode(random.below(256)) + mutate(random, text, WORDS, 3)
  },
  run: async (input) => {
    const text = input.slice(1)
    if (text === "") return
    const cut = 1 + (input.charCodeAt(0) % text.length)
    const { fast, node } = servers()
    const asNode = (duplex: Duplex, first: Buffer): void => {
      duplex.unshift(first)
      node.accept(duplex, origin, life())
    }
    const expected = await converse(asNode, [text])
    for (const parts of [[text], [text.slice(0, cut), text.slice(cut)].filter((part) => part !== "")]) {
      const got = await converse((duplex, first) => fast.accept(duplex, origin, first, life()), parts)
      const heads = (list: ReadonlyArray<Seen>): string => list.map(({ head }) => `${head}\n`).join("")
      // what node:http still reads behind a request that it has refused depends on the cut
      holds(heads(expected).startsWith(heads(got)), () => `in ${parts.length} parts:\n${heads(got)}\nnode:http:\n${heads(expected)}`)
      // node:http tells no handler of the body in front of something malformed
      for (const [i, { body }] of expected.entries())
        holds(body === undefined || got[i]?.body === undefined || got[i]?.body === body, () => `body ${got[i]?.body}, node:http ${body}`)
    }
  }
}
