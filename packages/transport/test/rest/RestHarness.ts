/** A server of `test.v1.Rest` for the tests of this folder, and WebSocket frames by hand. */
import { Lifecycle } from "@effect-kratos/core/Lifecycle"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import * as Network from "../../src/Network.ts"
import * as Server from "../../src/Server.ts"
import { Rest } from "../gen/test/v1/rest_effect.ts"
import { until } from "../Harness.ts"

type Methods = Partial<Record<keyof Context.Service.Shape<typeof Rest>, (input: never) => unknown>>
type Options = Omit<Server.Options<[typeof Rest]>, "services">

/** Methods that are not given die. */
export const serveRest = Effect.fnUntraced(function* (
  methods: Methods,
  options: Options = {},
  network: Layer.Layer<never> = Network.layerMemory
) {
  const outer = yield* Effect.scope
  const scope = yield* Scope.fork(outer)
  const context = yield* Layer.buildWithScope(
    Server.layer({ services: [Rest], host: "127.0.0.1", port: 0, ...options }).pipe(
      // initialisers do where a mock's types ask for messages
      Layer.provide(Layer.mock(Rest)(methods as Partial<Context.Service.Shape<typeof Rest>>)),
      Layer.provideMerge(network)
    ),
    scope
  )
  const { address } = Context.get(context, Server.Server)
  return {
    address,
    lifecycle: Context.get(context, Lifecycle),
    network: Context.get(context, Network.Network),
    /** A connection that ends with the test, before the server drains. */
    connect: Effect.orDie(Context.get(context, Network.Network).connect(address)).pipe(
      Effect.tap((duplex) =>
        Scope.addFinalizer(
          outer,
          Effect.sync(() => void duplex.destroy())
        )
      )
    ),
    close: Scope.close(scope, Exit.void)
  }
})

export interface Frame {
  readonly opcode: number
  readonly final: boolean
  readonly data: Buffer
}

export const TEXT = 1
export const BINARY = 2
export const CLOSE = 8
export const PING = 9
export const PONG = 10

/** A frame of a client, masked. */
export const frame = (
  data: string | Uint8Array,
  opcode = TEXT,
  { final = true, length }: { final?: boolean; length?: number } = {}
): Buffer => {
  const payload = Buffer.from(data as string) // either overload
  const size = length ?? payload.length
  const head =
    size < 126
      ? [0x80 | size]
      : size < 65_536
        ? [0xfe, size >> 8, size & 255]
        : [0xff, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (size >>> shift) & 255)]
  const mask = [1, 2, 3, 4]
  return Buffer.concat([Buffer.from([(final ? 0x80 : 0) | opcode, ...head, ...mask]), payload.map((byte, i) => byte ^ mask[i % 4]!)])
}

/** A WebSocket by hand: opens with the given fields and collects frames. */
export const rawSocket = (duplex: Duplex) => {
  let bytes: Buffer = Buffer.alloc(0)
  let head: string | undefined
  let ended = false
  const frames: Array<Frame> = []
  const onData = (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    if (head === undefined) {
      const end = bytes.indexOf("\r\n\r\n")
      if (end === -1) return
      head = bytes.toString("latin1", 0, end + 4)
      bytes = bytes.subarray(end + 4)
    }
    if (!head.startsWith("HTTP/1.1 101")) return
    while (bytes.length >= 2) {
      const short = bytes[1]! & 127
      const start = short < 126 ? 2 : short === 126 ? 4 : 10
      if (bytes.length < start) return
      const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
      if (bytes.length < start + length) return
      frames.push({ opcode: bytes[0]! & 15, final: bytes[0]! >= 128, data: bytes.subarray(start, start + length) })
      bytes = bytes.subarray(start + length)
      // the polite end
      if (frames.at(-1)?.opcode === CLOSE && !duplex.writableEnded) duplex.end(frame(frames.at(-1)!.data, CLOSE))
    }
  }
  duplex.on("data", onData)
  duplex.on("error", () => {})
  for (const event of ["end", "close"]) duplex.once(event, () => (ended = true))
  return {
    duplex,
    frames,
    texts: () => frames.filter(({ opcode }) => opcode === TEXT).map(({ data }) => data.toString()),
    /** The code and the text of the close frame. */
    closed: () => {
      const data = frames.find(({ opcode }) => opcode === CLOSE)?.data
      return data === undefined ? undefined : { code: data.length < 2 ? 1005 : data.readUInt16BE(0), reason: data.toString("utf8", 2) }
    },
    body: () => bytes.toString(),
    open: (target: string, fields: Readonly<Record<string, string>> = {}) =>
      Effect.gen(function* () {
        const all = {
          host: "test",
          connection: "Upgrade",
          upgrade: "websocket",
          "sec-websocket-version": "13",
          "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
          ...fields
        }
        const lines = Object.entries(all).flatMap(([name, value]) => (value === "" ? [] : [`${name}: ${value}\r\n`]))
        duplex.write(`GET ${target} HTTP/1.1\r\n${lines.join("")}\r\n`)
        yield* until(Effect.sync(() => head !== undefined || ended))
        return head ?? ""
      }),
    send: (data: string | Uint8Array, opcode?: number) => Effect.sync(() => void duplex.write(frame(data, opcode))),
    until: (condition: () => boolean) => until(Effect.sync(() => condition() || ended)),
    ended: until(Effect.sync(() => ended))
  }
}
