/** A whole server in memory, with connections that speak WebSocket, HTTP/1.1 or HTTP/2, more or less. */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import * as F from "../../../packages/http2/test/support/Frames.ts"
import { BINARY, CLOSE, frame, PING, PONG, serveRest, TEXT } from "../../../packages/transport/test/rest/RestHarness.ts"
import { mutate } from "../Mutation.ts"
import type { Random } from "../Random.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

/** Calls in progress. */
let running = 0

const counted = <A, E, R>(stream: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
  Stream.unwrap(
    Effect.sync(() => {
      running++
      return Stream.ensuring(
        stream,
        Effect.sync(() => void running--)
      )
    })
  )

const methods = {
  chat: (requests: Stream.Stream<object, unknown>) => counted(requests),
  collectIds: (requests: Stream.Stream<object, unknown>) =>
    Effect.map(Stream.runCollect(counted(requests)), (all) => ({ id: String(all.length) }))
}

let made: Promise<Effect.Success<ReturnType<typeof serveRest>>> | undefined
/** Made once, and left to the end of the process. */
const server = () =>
  (made ??= Effect.runPromise(Effect.flatMap(Scope.make(), (scope) => Effect.provideService(serveRest(methods), Scope.Scope, scope))))

const upgrade = (target: string, type: string): string =>
  `GET ${target} HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\ncontent-type: ${type}\r\n\r\n`

const TEXTS = ['{"id":"a"}', "{}", "[]", "\u001eend", "\u001eerror:x", '\u001eerror:{"code":404}', "\u001e", '{"id":1}', "{", "\u00ff"]

const socketInput = (random: Random): string => {
  let text = upgrade(
    random.pick(["/v1/chat/r", "/v1/collect", "/v1/collect?note=x", "/v1/chat/%ff"]),
    random.pick(["application/json", "application/proto"])
  )
  for (let i = random.below(8); i > 0; i--) {
    const payload = random.below(3) === 0 ? random.octets(20) : random.pick(TEXTS)
    const opcode = random.pick([TEXT, TEXT, TEXT, BINARY, 0, CLOSE, PING, PONG, 3, 11])
    const data = opcode === CLOSE && random.below(2) === 0 ? Buffer.from([3, random.pick([232, 233, 240, 0])]) : bytesOf(payload)
    const lies = random.below(12) === 0 ? { length: random.pick([0, 125, 126, 65_536, 0xffffffff]) } : {}
    text += textOf(frame(data, opcode, { final: random.below(5) > 0, ...lies }))
  }
  return text
}

const http1Input = (random: Random): string => {
  let text = ""
  for (let i = 1 + random.below(3); i > 0; i--) {
    const body = random.pick(['{"id":"a"}', "", "x", "a=b"])
    text += `${random.pick(["GET", "POST", "PUT", "OPTIONS"])} ${random.pick(["/v1/shelves", "/livez", "/v1/chat/r", "/test.v1.Rest/Chat", "/openapi.json", "/v1/%ff"])} HTTP/1.1\r\nhost: a\r\ncontent-type: ${random.pick(["application/json", "application/grpc-web-text", "application/connect+json", "application/grpc-web", "text/plain"])}\r\naccept: ${random.pick(["*/*", "text/event-stream", "application/xml"])}\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  }
  return text
}

const http2Input = (random: Random): string => {
  const parts: Array<Uint8Array> = [F.PREFACE, F.settings(), F.SETTINGS_ACK]
  for (let id = 1; id < 2 * (2 + random.below(4)); id += 2) {
    const path = random.pick(["/test.v1.Rest/Chat", "/test.v1.Rest/CollectIds", "/v1/chat/r", "/livez", "/test.v1.Rest/Nothing"])
    const type = random.pick([
      "application/grpc",
      "application/grpc+json",
      "application/json",
      "application/connect+json",
      "application/grpc-web"
    ])
    const fields = [
      [":method", "POST"],
      [":scheme", "http"],
      [":path", path],
      [":authority", "a"],
      ["content-type", type],
      ["grpc-timeout", random.pick(["1H", "x"])]
    ] as const
    parts.push(F.headers(id, fields, random.below(4) === 0 ? F.END : 0))
    for (let i = random.below(4); i > 0; i--) {
      const payload = bytesOf(random.pick(TEXTS))
      const prefixed = Buffer.concat([Buffer.from([random.pick([0, 0, 1, 2, 0x80]), 0, 0, 0, payload.length]), payload])
      parts.push(F.data(id, random.below(3) === 0 ? payload : prefixed, random.below(3) === 0 ? F.END : 0))
    }
    if (random.below(4) === 0) parts.push(F.reset(id, 8))
  }
  return textOf(Buffer.concat(parts))
}

/** Turns of the loop without a word after which a conversation is over. */
const PATIENCE = 6

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

const converse = async (duplex: Duplex, parts: ReadonlyArray<string>): Promise<void> => {
  let idle = 0
  duplex.on("data", () => (idle = 0))
  duplex.on("error", () => {})
  for (const part of parts) {
    if (!duplex.destroyed) duplex.write(bytesOf(part))
    await turn()
  }
  for (; idle < PATIENCE && !duplex.destroyed && !duplex.readableEnded; idle++) await turn()
  duplex.destroy()
}

export const whole: Target = {
  name: "server",
  law: "whatever comes over a connection, its calls end with it, and the next connection is served",
  share: 0.05,
  make: (random) => {
    const text = random.pick([socketInput, socketInput, http1Input, http2Input])(random)
    return String.fromCharCode(random.below(256)) + (random.below(3) === 0 ? text : mutate(random, text))
  },
  run: async (input) => {
    const { address, network } = await server()
    const connect = network.connect(address)
    const text = input.slice(1)
    const cut = input.charCodeAt(0) % (text.length + 1)
    await converse(
      await Effect.runPromise(connect),
      [text.slice(0, cut), text.slice(cut)].filter((part) => part !== "")
    )
    for (let i = 0; i < 200; i++) {
      if (running === 0) break
      await turn()
    }
    holds(running === 0, () => `${running} calls outlive their connection`)
    const probe = await Effect.runPromise(connect)
    let reply = ""
    probe.on("data", (chunk: Buffer) => (reply += chunk.toString("latin1")))
    probe.write("GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    for (let i = 0; i < 50 && !probe.readableEnded; i++) await turn()
    probe.destroy()
    holds(reply.startsWith("HTTP/1.1 200"), () => `the next connection got ${JSON.stringify(reply)}`)
  }
}
