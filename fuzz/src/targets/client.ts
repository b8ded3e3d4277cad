/** A whole client in memory, whose first server says whatever comes. */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import * as ServerConnection from "@effect-kratos/http2/ServerConnection"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import * as F from "../../../packages/http2/test/support/Frames.ts"
import type { Options } from "../../../packages/transport/src/Client.ts"
import * as Network from "../../../packages/transport/src/Network.ts"
import { clientOf } from "../../../packages/transport/test/Harness.ts"
import { mutate } from "../Mutation.ts"
import type { Random } from "../Random.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

const head = HeaderBlock.make([
  [":status", "200"],
  ["content-type", "application/grpc"]
])
const ok = HeaderBlock.make([["grpc-status", "0"]])
const EMPTY = new Uint8Array(5)

const PAYLOADS = [
  "\0\0\0\0\0",
  "\0\0\0\0\x04\x0a\x02hi",
  "\0\0\0\0\x03\x0a\x02h",
  "\x01\0\0\0\x02ab",
  "\x02\0\0\0\x02{}",
  "\0\xff\xff\xff\xff",
  "\0\0\0",
  "\x0a\x02hi",
  '{"code":"not_found"}'
]
const TYPES = [
  "application/grpc",
  "application/grpc+proto",
  "application/proto",
  "application/connect+proto",
  "application/json",
  "text/html"
]

/** The reply to a call on stream 1, in the protocol of the first octet or another. */
const frames = (random: Random): ReadonlyArray<Uint8Array> => {
  const list: Array<Uint8Array> = [F.settings(...(random.below(6) === 0 ? [[3, random.below(2)] as const] : [])), F.SETTINGS_ACK]
  const fields: Array<readonly [string, string]> = [
    [":status", random.pick(["200", "200", "200", "404", "503", "100"])],
    ["content-type", random.pick(TYPES)]
  ]
  if (random.below(5) === 0)
    fields.push([random.pick(["grpc-encoding", "connect-content-encoding", "content-encoding"]), random.pick(["gzip", "identity", "br"])])
  if (random.below(5) === 0) fields.push(["grpc-status", random.pick(["0", "5", "99", "x"])], ["grpc-message", random.octets(8)])
  list.push(F.headers(1, fields, random.below(6) === 0 ? F.END : 0))
  for (let i = random.below(4); i > 0; i--) list.push(F.data(1, bytesOf(random.pick(PAYLOADS)), random.below(6) === 0 ? F.END : 0))
  list.push(
    random.pick([
      () =>
        F.headers(
          1,
          [
            ["grpc-status", random.pick(["0", "0", "5", "16", "17", "-1"])],
            ["grpc-status-details-bin", random.pick(["", "CAU", "%%"])]
          ],
          F.END
        ),
      () => F.reset(1, random.below(14)),
      () => F.goAway(random.pick([0, 1, 7]), random.below(3)),
      () => F.data(1, bytesOf("\x02\0\0\0\x02{}"), F.END),
      () => F.ping()
    ])()
  )
  return list
}

const protocols: ReadonlyArray<Options> = [{}, { protocol: "connect" }]

/** Turns of the loop that a call may take to hear that its connection is gone. */
const PATIENCE = 3000

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** Answers every call. */
const behave = (duplex: Duplex): void => {
  ServerConnection.make(duplex, {
    onStream: (stream) => {
      stream.respond(head, EMPTY, ok)
      return { onData: (data) => stream.consumed(data.length), onTrailers: () => {}, onAbort: () => {} }
    }
  })
}

export const client: Target = {
  name: "client",
  law: "a call ends, well or with an error of ours, whatever the server says before it goes away",
  share: 0.03,
  make: (random) => {
    const text = textOf(Buffer.concat([...frames(random)]))
    return String.fromCharCode(random.below(256)) + (random.below(3) === 0 ? text : mutate(random, text))
  },
  run: async (input) => {
    const which = input.charCodeAt(0)
    const text = input.slice(1)
    const cut = which % (text.length + 1)
    const program = Effect.gen(function* () {
      const network = Network.makeMemory()
      let connections = 0
      const address = yield* network.listen({ host: "bad", port: 0 }, ({ duplex }) => {
        if (connections++ > 0) return behave(duplex)
        duplex.on("error", () => {})
        // speaks when it has been spoken to
        duplex.once("data", () => {
          duplex.resume()
          duplex.write(bytesOf(text.slice(0, cut)))
          setImmediate(() => {
            if (!duplex.destroyed) duplex.write(bytesOf(text.slice(cut)), () => setImmediate(() => setImmediate(() => duplex.destroy())))
          })
        })
      })
      const { echo } = yield* clientOf({ network, address }, protocols[which & 1])
      const call =
        (which & 2) === 0 ? Effect.asVoid(echo.unary({ text: "x" })) : Stream.runDrain(echo.serverStream({ text: "x", count: 2 }))
      return yield* Effect.exit(call)
    })
    let exit: Exit.Exit<void, unknown> | undefined
    const running = Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(Logger.layer([])))).then((ended) => (exit = ended))
    for (let i = 0; i < PATIENCE; i++) {
      if (exit !== undefined) break
      await turn()
    }
    // a try that is to be made again waits for its back-off
    await running
    if (exit === undefined || Exit.isSuccess(exit)) return
    const [reason] = exit.cause.reasons
    holds(reason !== undefined && Cause.isFailReason(reason), () => `dies: ${Cause.pretty((exit as Exit.Failure<void, unknown>).cause)}`)
    // the errors of a client
    const { grpc, message } = (reason as Cause.Fail<KratosError>).error
    holds(grpc === undefined || Number.isInteger(grpc), () => `code ${String(grpc)}`)
    holds(typeof message === "string" && message.length < 10_000, () => "a message without end")
  }
}
