/** Calls over the real path (both HTTP/2 engines, gRPC on both sides) on a network in memory. */
import { assert, it } from "@effect/vitest"
import * as Channels from "../src/Channels.ts"
import * as Network from "../src/Network.ts"
import * as Server from "../src/Server.ts"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { EchoLive, Journal } from "./EchoLive.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"

const Live = Echo.client("discovery:///echo").pipe(
  Layer.provide(Channels.layerTo({ host: "echo", port: 1 })),
  Layer.provide(Server.layer({ services: [Echo], host: "echo", port: 1 })),
  Layer.provide(EchoLive),
  Layer.provideMerge(Journal.layer),
  Layer.provide(Network.layerMemory)
)

it.effect("unary", () =>
  Effect.gen(function* () {
    const echo = yield* Echo
    const reply = yield* echo.unary({ text: "hi" })
    assert.strictEqual(reply.text, "hi")
    const error = yield* Effect.flip(echo.unary({ text: "x", failReason: "TEAPOT" }))
    assert.strictEqual(error._tag, "Teapot")
    const replies = yield* Stream.runCollect(echo.serverStream({ text: "s", count: 3 }))
    assert.deepStrictEqual(replies.map((reply) => reply.index), [0, 1, 2])
    const joined = yield* echo.clientStream(Stream.make({ text: "a" }, { text: "b" }))
    assert.strictEqual(joined.text, "a,b")
    const bidi = yield* Stream.runCollect(echo.bidi(Stream.make({ text: "a" }, { text: "b", count: 2 })))
    assert.deepStrictEqual(bidi.map((reply) => reply.text), ["a", "b", "b"])
  }).pipe(Effect.provide(Live))
)
