/** Retries as gRPC's own library for Node makes them and answers to them: push-back and counts of attempts, both ways. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import * as Retry from "@effect-kratos/core/aspect/Retry"
import * as RetryLimit from "@effect-kratos/core/aspect/RetryLimit"
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as RetryAdvice from "@effect-kratos/core/error/RetryAdvice"
import * as ServiceConfig from "@effect-kratos/core/policy/ServiceConfig"
import * as Channels from "@effect-kratos/transport/Channels"
import * as Server from "@effect-kratos/transport/Server"
import { assert, describe, it } from "@effect/vitest"
import * as grpc from "@grpc/grpc-js"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Echo } from "../src/gen/test/v1/echo_effect.ts"
import { EchoReplySchema, EchoRequestSchema } from "../src/gen/test/v1/echo_pb.ts"

const bytes = (buffer: Buffer) => buffer
const definition = {
  Unary: {
    path: "/test.v1.Echo/Unary",
    requestStream: false,
    responseStream: false,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes
  }
} as const

const methodConfig = {
  name: [{ service: "test.v1.Echo", method: "Unary" }],
  retryPolicy: { maxAttempts: 4, initialBackoff: "0.01s", maxBackoff: "0.1s", backoffMultiplier: 2, retryableStatusCodes: ["UNAVAILABLE"] }
}

/** A server of grpc-js that fails calls with this push-back, `times` times each; by the texts of the calls. */
const peer = (fate: (text: string, n: number) => string | undefined) =>
  Effect.gen(function* () {
    const seen: Array<{ readonly text: string; readonly previous: string | undefined }> = []
    const server = new grpc.Server()
    server.addService(definition, {
      Unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
        const { text } = fromBinary(EchoRequestSchema, call.request)
        const n = seen.filter((one) => one.text === text).length
        seen.push({ text, previous: call.metadata.get("grpc-previous-rpc-attempts")[0]?.toString() })
        const pushback = fate(text, n)
        if (pushback === undefined) return callback(null, Buffer.from(toBinary(EchoReplySchema, create(EchoReplySchema, { text }))))
        const metadata = new grpc.Metadata()
        if (pushback !== "") metadata.set("grpc-retry-pushback-ms", pushback)
        callback({ code: grpc.status.UNAVAILABLE, details: "not now", metadata })
      }
    })
    const port = yield* Effect.acquireRelease(
      Effect.callback<number>((resume) =>
        server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (_, port) => resume(Effect.succeed(port)))
      ),
      () => Effect.sync(() => server.forceShutdown())
    )
    return { port, seen }
  })

describe("retries with grpc-js", () => {
  it.live("our client heeds the push-back of its server and tells it of attempts", () =>
    Effect.gen(function* () {
      const { port, seen } = yield* peer((text, n) => (text === "never" ? "-1" : n >= 2 ? undefined : text === "wait" ? "300" : ""))
      const policy = yield* ServiceConfig.decode({ methodConfig: [methodConfig] })
      const context = yield* Layer.build(Echo.client(`127.0.0.1:${port}`, { policy }).pipe(Layer.provide(Channels.layerDirect)))
      const echo = Context.get(context, Echo)
      assert.strictEqual((yield* echo.unary({ text: "again" })).text, "again")
      assert.deepStrictEqual(
        seen.map(({ previous }) => previous),
        [undefined, "1", "2"]
      )
      const began = yield* Clock.currentTimeMillis
      yield* echo.unary({ text: "wait" })
      assert.isAtLeast((yield* Clock.currentTimeMillis) - began, 590)
      const error = yield* Effect.flip(echo.unary({ text: "never" }))
      assert.strictEqual(KratosError.code(error), 503)
      assert.isTrue(RetryAdvice.isFinal(error))
      assert.lengthOf(
        seen.filter(({ text }) => text === "never"),
        1
      )
    })
  )

  it.live("its client heeds ours: a failure that was given up is not tried again above", () =>
    Effect.gen(function* () {
      const { port: below, seen } = yield* peer(() => "")
      const attempts: Array<string | undefined> = []
      const unused = Effect.die("not called")
      const context = yield* Layer.build(
        Server.layer({ services: [Echo], host: "127.0.0.1" }).pipe(
          Layer.provide(
            Echo.layerEffect(
              Effect.gen(function* () {
                const aspects = Retry.make({ idempotent: true, maxAttempts: 3, limit: RetryLimit.make({ budget: false }) })
                const client = yield* Layer.build(Echo.client(`127.0.0.1:${below}`, { aspects }).pipe(Layer.provide(Channels.layerDirect)))
                return {
                  unary: ({ text }: { readonly text: string }) =>
                    Effect.gen(function* () {
                      attempts.push((yield* Call).request.get("grpc-previous-rpc-attempts")?.[0])
                      if (text === "own") return yield* KratosError.serviceUnavailable("OWN", "not now")
                      return yield* Context.get(client, Echo).unary({ text })
                    }),
                  old: () => unused,
                  clientStream: () => unused,
                  serverStream: () => Stream.empty,
                  bidi: () => Stream.empty
                }
              })
            )
          )
        )
      )
      const { address } = Context.get(context, Server.Server)
      const Client = grpc.makeGenericClientConstructor(definition, "Echo")
      const client = yield* Effect.acquireRelease(
        Effect.sync(
          () =>
            new Client(`127.0.0.1:${address.port}`, grpc.credentials.createInsecure(), {
              "grpc.service_config": JSON.stringify({ methodConfig: [methodConfig] })
            })
        ),
        (client) => Effect.sync(() => client.close())
      )
      const call = (text: string) =>
        Effect.callback<grpc.ServiceError | null>((resume) => {
          const request = Buffer.from(toBinary(EchoRequestSchema, create(EchoRequestSchema, { text })))
          client["Unary"]!(request, (error: grpc.ServiceError | null) => resume(Effect.succeed(error)))
        })
      assert.strictEqual((yield* call("own"))?.code, grpc.status.UNAVAILABLE)
      assert.deepStrictEqual(attempts, [undefined, "1", "2", "3"])
      attempts.length = 0
      const error = yield* call("below")
      assert.strictEqual(error?.code, grpc.status.UNAVAILABLE)
      assert.lengthOf(seen, 3)
      assert.deepStrictEqual(attempts, [undefined])
    })
  )
})
