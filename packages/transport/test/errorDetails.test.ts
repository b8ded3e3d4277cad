/** Details of errors arrive as they left, on every wire that has a place for them, and go through a service unchanged. */
import { create, toBinary } from "@bufbuild/protobuf"
import { AnySchema, DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt"
import type { Detail } from "@effect-kratos/core/error/Detail"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import * as Metadata from "@effect-kratos/core/Metadata"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as ErrorJson from "../src/connect/ErrorJson.ts"
import * as ErrorDetails from "../src/ErrorDetails.ts"
import { ErrorInfoSchema } from "../src/gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../src/gen/google/rpc/status_pb.ts"
import * as GrpcStatus from "../src/grpc/Status.ts"
import * as WebClient from "../src/web/WebClient.ts"
import { type Random, random } from "./codec/randomMessage.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"
import { ThingNotFound } from "./gen/test/v1/reason_effect.ts"
import { Network } from "../src/Network.ts"
import { clientOf, implement, join, serve, sockets } from "./Harness.ts"
import { clients } from "./Clients.ts"

const plain = (details: ReadonlyArray<Detail> | undefined) => details?.map(({ type, value }) => ({ type, value: [...value] }))

const info = (fields: { readonly reason?: string; readonly domain?: string; readonly metadata?: Record<string, string> }): Detail =>
  ErrorDetails.pack(ErrorInfoSchema, fields)

const someDetails: ReadonlyArray<Detail> = [
  ErrorDetails.pack(DurationSchema, { seconds: 7n }),
  { type: "other.example/x.v1.Unknown", value: Uint8Array.of(0, 255, 1) },
  { type: "x.v1.Empty", value: new Uint8Array(0) }
]

/** As peers may send them: ErrorInfo of any sort, anywhere, several times, broken. */
const anyDetail = ({ below, pick }: Random): Detail => {
  switch (below(5)) {
    case 0:
      return { type: "google.rpc.ErrorInfo", value: Uint8Array.of(255) }
    case 1:
      return { type: pick(["x.v1.A", "host.example/x.v1.B"]), value: Uint8Array.from({ length: below(20) }, () => below(256)) }
    default:
      return info({
        reason: pick(["", "R", "DEADLINE_EXCEEDED"]),
        domain: pick(["", "d.example"]),
        metadata: pick([{}, { a: "b" }])
      })
  }
}

const anyErrors = Array.from({ length: 500 }, (_, seed) => {
  const chance = random(seed)
  const details = Array.from({ length: chance.below(5) }, () => anyDetail(chance))
  return { details, code: chance.pick([Grpc.NOT_FOUND, Grpc.DEADLINE_EXCEEDED, Grpc.INTERNAL]) }
})

const trailersOf = (details: ReadonlyArray<Detail>, code: number): Metadata.Metadata => {
  const status = create(StatusSchema, {
    code,
    message: "m",
    details: details.map(({ type, value }) => create(AnySchema, { typeUrl: ErrorDetails.urlOf(type), value }))
  })
  return Metadata.fromRecord({
    "grpc-status": String(code),
    "grpc-message": "m",
    "grpc-status-details-bin": Buffer.from(toBinary(StatusSchema, status)).toString("base64")
  })
}

describe("details of errors", () => {
  it("go through gRPC unchanged, whatever they are", () => {
    for (const { code, details } of anyErrors) {
      const error = GrpcStatus.fromMetadata(trailersOf(details, code))!
      assert.deepStrictEqual(plain(ErrorDetails.toWire(error)), plain(details))
      const again = GrpcStatus.fromMetadata(Metadata.fromRecord(Object.fromEntries(GrpcStatus.toFields(error))))!
      assert.deepStrictEqual(again.toJSON(), error.toJSON())
      assert.deepStrictEqual(plain(again.details), plain(error.details))
    }
  })

  it("go through Connect unchanged, whatever they are", () => {
    for (const { code, details } of anyErrors) {
      const error = GrpcStatus.fromMetadata(trailersOf(details, code))!
      const again = ErrorJson.parse(JSON.parse(JSON.stringify(ErrorJson.make(error))), Grpc.UNKNOWN)
      assert.deepStrictEqual(again.toJSON(), error.toJSON())
      assert.strictEqual(again.grpc, error.grpc)
      assert.deepStrictEqual(plain(ErrorDetails.toWire(again)), plain(details))
    }
  })

  it("stand behind reason and metadata, as Kratos writes them; none for an error that has neither", () => {
    const both = KratosError.make(404, "R", "m", { metadata: { a: "b" }, details: someDetails })
    const wire = ErrorDetails.toWire(both)
    assert.deepStrictEqual(
      ErrorDetails.unpack({ details: wire }, ErrorInfoSchema).map(({ domain, metadata, reason }) => ({ domain, metadata, reason })),
      [{ domain: "", metadata: { a: "b" }, reason: "R" }]
    )
    assert.strictEqual(wire[0]!.type, "google.rpc.ErrorInfo")
    assert.deepStrictEqual(plain(wire.slice(1)), plain(someDetails))
    assert.deepStrictEqual(ErrorDetails.toWire(KratosError.make(404, "", "m")), [])
    assert.deepStrictEqual(plain(ErrorDetails.toWire(KratosError.make(404, "", "m", { details: someDetails }))), plain(someDetails))
    assert.isUndefined(GrpcStatus.toFields(KratosError.make(404, "", "m")).find(([name]) => name === "grpc-status-details-bin"))
  })

  it("of an ErrorInfo that says more than we keep stand for reason and metadata, until these are replaced", () => {
    const error = GrpcStatus.fromMetadata(trailersOf([info({ reason: "R", domain: "d.example" })], Grpc.NOT_FOUND))!
    assert.strictEqual(error.reason, "R")
    assert.strictEqual(ErrorDetails.unpack(error, ErrorInfoSchema)[0]!.domain, "d.example")
    const [replaced] = ErrorDetails.unpack({ details: ErrorDetails.toWire(KratosError.withMetadata(error, { a: "b" })) }, ErrorInfoSchema)
    assert.deepStrictEqual([replaced!.reason, replaced!.metadata, replaced!.domain], ["R", { a: "b" }, ""])
  })

  it("unpack to messages of their type, in order; broken ones and others are left out", () => {
    const broken: Detail = { type: "google.protobuf.Duration", value: Uint8Array.of(255) }
    const error = KratosError.make(400, "R", "m", {
      details: [
        ErrorDetails.pack(DurationSchema, { seconds: 1n }),
        broken,
        ErrorDetails.pack(TimestampSchema, { seconds: 2n }),
        { ...ErrorDetails.pack(DurationSchema, create(DurationSchema, { seconds: 3n })), type: "host.example/google.protobuf.Duration" }
      ]
    })
    assert.deepStrictEqual(
      ErrorDetails.unpack(error, DurationSchema).map(({ seconds }) => seconds),
      [1n, 3n]
    )
    for (const none of [undefined, null, new Error("m"), KratosError.make(400, "R", "m")]) {
      assert.deepStrictEqual(ErrorDetails.unpack(none, DurationSchema), [])
    }
  })

  it("that are too long for trailers are left out, from the first that does not fit", () => {
    const long = { type: "x.v1.Long", value: new Uint8Array(40_000) }
    const short = { type: "x.v1.Short", value: new Uint8Array(1) }
    const fields = GrpcStatus.toFields(KratosError.make(404, "R", "m", { details: [short, long, short] }))
    const read = GrpcStatus.fromMetadata(Metadata.fromRecord(Object.fromEntries(fields)))!
    assert.strictEqual(read.reason, "R")
    assert.deepStrictEqual(plain(read.details), plain([short]))
    assert.isBelow(
      fields.map(([name, value]) => name.length + value.length).reduce((a, b) => a + b),
      60_000
    )
  })

  const large: Detail = { type: "x.v1.Large", value: Uint8Array.from({ length: 30_000 }, (_, i) => i) }

  const failing = implement({
    unary: ({ text }) =>
      text === "large"
        ? Effect.fail(KratosError.make(409, "", "m", { details: [large] }))
        : text === "reason"
          ? Effect.fail(new ThingNotFound({ message: "m", metadata: { a: "b" }, details: someDetails }))
          : Effect.fail(KratosError.make(409, "R", "m", { details: someDetails })),
    serverStream: () => Stream.fail(KratosError.make(409, "R", "m", { details: someDetails }))
  })

  it.effect("arrive in browsers", () =>
    Effect.gen(function* () {
      const { address } = yield* serve({ wire: sockets, implementation: failing })
      const context = yield* Layer.build(WebClient.layer(Echo, { baseUrl: `http://127.0.0.1:${address.port}` }))
      const echo = Context.get(context, Echo)
      for (const call of [echo.unary({ text: "reason" }), Stream.runDrain(echo.serverStream({}))]) {
        assert.deepStrictEqual(plain((yield* Effect.flip(call as Effect.Effect<unknown, ThingNotFound>)).details), plain(someDetails))
      }
    })
  )

  for (const { name, options } of clients) {
    it.effect(`arrive over ${name}, with declared reasons too, and through a service between`, () =>
      Effect.gen(function* () {
        const { echo, ...server } = yield* join({ implementation: failing, client: options })
        const relay = yield* serve({
          wire: { name: "relay", network: Layer.succeed(Network, server.network) },
          implementation: Layer.succeed(Echo, echo)
        })
        const { echo: relayed } = yield* clientOf(relay, options)
        for (const each of [echo, relayed]) {
          const error = yield* Effect.flip(each.unary({ text: "" }))
          assert.instanceOf(error, KratosError.KratosError)
          assert.strictEqual(error.reason, "R")
          assert.deepStrictEqual(plain(error.details), plain(someDetails))
          assert.strictEqual(ErrorDetails.unpack(error, DurationSchema)[0]?.seconds, 7n)
          const typed = yield* Effect.flip(each.unary({ text: "reason" }))
          assert.instanceOf(typed, ThingNotFound)
          assert.deepStrictEqual([typed.message, typed.metadata], ["m", { a: "b" }])
          assert.deepStrictEqual(plain(typed.details), plain(someDetails))
          assert.deepStrictEqual(plain((yield* Effect.flip(each.unary({ text: "large" }))).details), plain([large]))
          const streamed = yield* Effect.flip(Stream.runDrain(each.serverStream({})))
          assert.deepStrictEqual(plain(streamed.details), plain(someDetails))
        }
      })
    )
  }
})
