/** HTTP as bytes: version 1.1 by hand, version 2 through the engine's client. */
import * as Effect from "effect/Effect"
import type { Duplex } from "node:stream"
import { type Serving, until } from "./Harness.ts"
import { rawClient } from "./Raw.ts"

/** A connection that is written to and whose output is collected as Latin-1. */
export const talk = (duplex: Duplex) => {
  let text = ""
  let ended = false
  duplex.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")))
  duplex.on("error", () => {})
  duplex.once("close", () => (ended = true))
  duplex.once("end", () => (ended = true))
  return {
    duplex,
    write: (data: string | Uint8Array) =>
      Effect.sync(() => void duplex.write(typeof data === "string" ? Buffer.from(data, "latin1") : data)),
    text: () => text,
    says: (pattern: RegExp) => Effect.as(until(Effect.sync(() => pattern.test(text) || ended)), undefined).pipe(Effect.map(() => text)),
    closed: Effect.map(until(Effect.sync(() => ended)), () => text)
  }
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export const parse = (text: string): Reply => {
  const split = text.indexOf("\r\n\r\n")
  const [line = "", ...fields] = text.slice(0, split).split("\r\n")
  const headers = Object.fromEntries(
    fields.map((field) => [field.slice(0, field.indexOf(":")).toLowerCase(), field.slice(field.indexOf(":") + 1).trim()])
  )
  let body = text.slice(split + 4)
  if (headers["transfer-encoding"] === "chunked") body = body.replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/g, "").replace(/\r\n$/, "")
  return { status: Number(line.split(" ")[1]), headers, body }
}

export interface Request {
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
}

export type Send = (method: string, target: string, request?: Request) => Effect.Effect<Reply>

/** One request on a connection of its own, in either version. */
export const versions: ReadonlyArray<{ readonly name: string; readonly send: (server: Serving) => Send }> = [
  {
    name: "HTTP/1.1",
    send:
      (server) =>
      (method, target, { body, headers = {} } = {}) =>
        Effect.gen(function* () {
          const { closed, write } = talk(yield* server.connect)
          const fields = {
            host: "test",
            connection: "close",
            ...(body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) }),
            ...headers
          }
          const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
          yield* write(Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n${body ?? ""}`))
          return parse(yield* closed)
        })
  },
  {
    name: "HTTP/2",
    send:
      (server) =>
      (method, target, { body, headers } = {}) =>
        Effect.gen(function* () {
          const { connection, send } = rawClient(yield* server.connect)
          const outcome = yield* send(target, {
            fields: { ":method": method, te: "", "content-type": "", ...headers },
            body: body === undefined ? undefined : [Buffer.from(body)]
          })
          connection.shutdown()
          return { status: outcome.status, headers: outcome.head, body: outcome.body.toString("latin1") }
        })
  }
]
