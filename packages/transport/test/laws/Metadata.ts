/** Metadata in both directions, compression, limits. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as CallModule from "@effect-kratos/core/Call"
import * as Metadata from "@effect-kratos/core/Metadata"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { implement, join, makeReplies, sends, settled, type Wire } from "../Harness.ts"

const binary = Uint8Array.from({ length: 256 }, (_, i) => i)

export const metadata = (wire: Wire): void => {
  describe("metadata", () => {
    it.effect("travels to the handler and back, binary values byte for byte", () =>
      Effect.gen(function* () {
        const replies = makeReplies()
        const outgoing = Metadata.make()
        Metadata.setBinary(outgoing, "blob-bin", binary)
        let got: Uint8Array | undefined
        const { echo } = yield* join({
          wire,
          implementation: implement({
            *unary() {
              const call = yield* CallModule.Call
              const bytes = Metadata.getBinary(call.request, "blob-bin")
              got = bytes._tag === "Some" ? bytes.value : undefined
              Metadata.setBinary(call.reply, "head-bin", binary)
              Metadata.setBinary(call.trailers, "tail-bin", binary)
              call.reply.set("many", ["1", "2"])
              yield* CallModule.setReplyTrailer("Last", "word")
              return { text: call.request.get("x-md-name")!.join("|") }
            }
          }),
          client: { aspects: (call) => replies.aspect(sends({ "x-md-name": ["a", "b, c"], "blob-bin": outgoing.get("blob-bin")! })(call)) }
        })
        assert.strictEqual((yield* echo.unary({})).text, "a|b, c")
        assert.deepStrictEqual([...got!], [...binary])
        assert.deepStrictEqual(replies.headers[0]!["many"], ["1", "2"])
        assert.deepStrictEqual(replies.trailers[0]!["last"], ["word"])
        for (const [map, key] of [
          [replies.headers[0]!, "head-bin"],
          [replies.trailers[0]!, "tail-bin"]
        ] as const) {
          const bytes = Metadata.getBinary(new Map(Object.entries(map)), key)
          assert.deepStrictEqual(bytes._tag === "Some" ? [...bytes.value] : [], [...binary])
        }
      })
    )

    it.effect("in all kinds, on success and on failure", () =>
      Effect.gen(function* () {
        const replies = makeReplies()
        const mark = (end: Effect.Effect<void, KratosError.KratosError>) =>
          Effect.andThen(Effect.andThen(CallModule.setReplyHeader("head", "h"), CallModule.setReplyTrailer("tail", "t")), end)
        const end = (text: string) => (text === "" ? Effect.void : Effect.fail(KratosError.conflict("NO", "no")))
        const { echo } = yield* join({
          wire,
          implementation: implement({
            unary: ({ text }) => Effect.as(mark(end(text)), {}),
            clientStream: (requests) => Effect.flatMap(Stream.runCollect(requests), ([first]) => Effect.as(mark(end(first!.text)), {})),
            serverStream: ({ text }) => Stream.fromEffect(Effect.as(mark(end(text)), {})),
            bidi: (requests) => Stream.mapEffect(requests, ({ text }) => Effect.as(mark(end(text)), {}))
          }),
          client: { aspects: replies.aspect }
        })
        for (const text of ["", "fail"]) {
          yield* Effect.exit(echo.unary({ text }))
          yield* Effect.exit(echo.clientStream(Stream.make({ text })))
          yield* Effect.exit(Stream.runDrain(echo.serverStream({ text })))
          yield* Effect.exit(Stream.runDrain(echo.bidi(Stream.make({ text }))))
        }
        assert.lengthOf(replies.headers, 8)
        for (let i = 0; i < 8; i++) {
          // a reply of trailers only has both in one
          assert.deepStrictEqual(replies.headers[i]!["head"] ?? replies.trailers[i]!["head"], ["h"], `call ${i}`)
          assert.deepStrictEqual(replies.trailers[i]!["tail"], ["t"], `call ${i}`)
        }
      })
    )

    it.effect("what belongs to the wire is neither sent nor seen", () =>
      Effect.gen(function* () {
        const replies = makeReplies()
        let seen: ReadonlyArray<string> = []
        const { echo } = yield* join({
          wire,
          implementation: implement({
            *unary() {
              const call = yield* CallModule.Call
              seen = [...call.request.keys()]
              for (const key of ["grpc-status", "content-type", "connection", ":status"]) call.reply.set(key, ["13"])
              for (const key of ["grpc-status", "grpc-message", "te"]) call.trailers.set(key, ["13"])
              return { text: "fine" }
            }
          }),
          client: {
            aspects: (call) =>
              replies.aspect(
                sends({
                  mine: ["1"],
                  "grpc-timeout": ["1n"],
                  "grpc-encoding": ["snappy"],
                  "content-type": ["x/y"],
                  te: ["gzip"],
                  ":path": ["/a"],
                  connection: ["close"]
                })(call)
              )
          }
        })
        assert.strictEqual((yield* echo.unary({})).text, "fine")
        assert.include(seen, "mine")
        assert.deepStrictEqual(
          seen.filter((key) => key.startsWith("grpc-") || key.startsWith(":") || ["content-type", "te", "connection"].includes(key)),
          []
        )
        // what HTTP servers say of themselves
        const { date: _, "x-request-id": __, ...headers } = replies.headers[0]!
        assert.deepStrictEqual(headers, {})
        // Connect has its status elsewhere
        const { "grpc-status": status = ["0"], ...trailers } = replies.trailers[0]!
        assert.deepStrictEqual([status, trailers], [["0"], {}])
      })
    )

    it.effect("what HTTP cannot carry fails typed, on the side that made it", () =>
      Effect.gen(function* () {
        for (const bad of [{ "a key": ["1"] }, { ключ: ["1"] }, { key: ["a\nb"] }, { key: ["ü"] }, { "": ["1"] }]) {
          let reached = 0
          const { echo } = yield* join({
            wire,
            implementation: implement({ unary: () => Effect.sync(() => ({ index: ++reached })) }),
            client: { aspects: sends(bad) }
          })
          const failure = yield* Effect.flip(echo.unary({}))
          assert.strictEqual(failure._tag, "KratosError", JSON.stringify(bad))
          assert.strictEqual(KratosError.reason(failure), "METADATA")
          assert.strictEqual(reached, 0)
        }
      })
    )

    it.effect("a reply with such metadata is 500, as header and as trailer", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({
          wire,
          implementation: implement({
            *unary({ text }) {
              const call = yield* CallModule.Call
              ;(text === "head" ? call.reply : call.trailers).set("key", ["a\nb"])
              return {}
            },
            serverStream: ({ text }) =>
              Stream.fromEffect(
                Effect.map(CallModule.Call, (call) => {
                  ;(text === "head" ? call.reply : call.trailers).set("key", ["a\nb"])
                  return {}
                })
              )
          })
        })
        for (const text of ["head", "tail"]) {
          assert.strictEqual(KratosError.code(yield* Effect.flip(echo.unary({ text }))), 500)
          assert.strictEqual(KratosError.code(yield* Effect.flip(Stream.runDrain(echo.serverStream({ text })))), 500)
        }
      })
    )

    it.effect("a `-bin` header with several values joined by commas is taken apart", () =>
      Effect.gen(function* () {
        let values: ReadonlyArray<string> = []
        const { echo } = yield* join({
          wire,
          implementation: implement({
            *unary() {
              values = (yield* CallModule.Call).request.get("ids-bin") ?? []
              return {}
            }
          }),
          client: { aspects: sends({ "ids-bin": ["AAE,AgM=", "BA"] }) }
        })
        yield* echo.unary({})
        assert.deepStrictEqual(values, ["AAE", "AgM=", "BA"])
      })
    )
  })

  describe("compression and limits", () => {
    for (const compression of ["gzip", "deflate"] as const) {
      it.effect(`${compression}: requests are compressed, replies mirror it`, () =>
        Effect.gen(function* () {
          const { echo } = yield* join({ wire, client: { compression } })
          const payload = new Uint8Array(100_000).fill(7)
          assert.deepStrictEqual((yield* echo.unary({ payload })).payload, payload)
          assert.lengthOf(yield* Stream.runCollect(echo.serverStream({ payload, count: 3 })), 3)
          assert.lengthOf((yield* echo.clientStream(Stream.make({ payload }, { payload }))).payload, 200_000)
          assert.lengthOf(yield* Stream.runCollect(echo.bidi(Stream.make({ payload }, { payload }))), 2)
        })
      )
    }

    it.effect("a request over the server's limit is RESOURCE_EXHAUSTED in all kinds; one at the limit passes", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({ wire, maxMessageBytes: 1000 })
        const payload = new Uint8Array(1000)
        for (const failure of [
          yield* Effect.flip(echo.unary({ payload })),
          yield* Effect.flip(Stream.runDrain(echo.serverStream({ payload }))),
          yield* Effect.flip(echo.clientStream(Stream.make({ payload }))),
          yield* Effect.flip(Stream.runDrain(echo.bidi(Stream.make({ payload }))))
        ]) {
          assert.instanceOf(failure, KratosError.KratosError)
          assert.strictEqual(failure.code, 429)
          assert.include(failure.message, "1000")
        }
        // tag and length take three bytes; in JSON it is of base64, between names
        const most = wire.client?.codec === "json" ? 600 : 997
        assert.lengthOf((yield* echo.unary({ payload: payload.subarray(0, most) })).payload, most)
      })
    )

    it.effect("a reply over the client's limit fails typed and cancels the call", () =>
      Effect.gen(function* () {
        const { echo, journal } = yield* join({ wire, client: { maxMessageBytes: 1000 } })
        const text = "x".repeat(1000)
        for (const failure of [
          yield* Effect.flip(echo.unary({ text })),
          yield* Effect.flip(Stream.runDrain(echo.serverStream({ text, count: 1_000_000 }))),
          yield* Effect.flip(echo.clientStream(Stream.make({ text }))),
          yield* Effect.flip(Stream.runDrain(echo.bidi(Stream.concat(Stream.make({ text }), Stream.never))))
        ]) {
          assert.instanceOf(failure, KratosError.KratosError)
          assert.strictEqual(failure.code, 429)
        }
        yield* settled(journal)
      })
    )

    it.effect("compression does not get around a limit", () =>
      Effect.gen(function* () {
        const server = yield* join({ wire, maxMessageBytes: 10_000, client: { compression: "gzip" } })
        const failure = yield* Effect.flip(server.echo.unary({ payload: new Uint8Array(1_000_000) }))
        assert.strictEqual(KratosError.code(failure), 429)
      })
    )

    it.effect("10 MiB pass in both directions when the limits are raised", () =>
      Effect.gen(function* () {
        const maxMessageBytes = (wire.client?.codec === "json" ? 14 : 11) << 20
        const { echo } = yield* join({ wire, maxMessageBytes, client: { maxMessageBytes } })
        const payload = new Uint8Array(10 << 20)
        for (let i = 0; i < payload.length; i += 4099) payload[i] = i
        const reply = yield* echo.unary({ payload })
        assert.isTrue(Buffer.from(payload).equals(reply.payload))
        assert.strictEqual((yield* echo.clientStream(Stream.make({ payload: payload.subarray(1) }))).payload.length, payload.length - 1)
      })
    )
  })
}
