/** Real clients that ask each subject for the expected answer, before and after it is timed: load programs look at `:status` only. */
import * as grpc from "@grpc/grpc-js"
import * as Effect from "effect/Effect"
import { type BenchError, failed } from "./BenchError.ts"
import { HelloReply, HelloRequest } from "./gen/ts-proto/helloworld/v1/greeter.ts"

export const method = "/helloworld.v1.Greeter/SayHello"
export const path = "/helloworld/kratos"

/** The body of a gRPC request for "kratos": the five bytes of framing, then the message. */
export const frame = (): Uint8Array => {
  const message = HelloRequest.encode({ name: "kratos" }).finish()
  const bytes = new Uint8Array(5 + message.length)
  new DataView(bytes.buffer).setUint32(1, message.length)
  bytes.set(message, 5)
  return bytes
}

/** Calls SayHello with grpc-js and expects `Hello kratos` with status OK. */
export const unary = (port: number): Effect.Effect<void, BenchError> =>
  Effect.acquireUseRelease(
    Effect.sync(() => new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure())),
    (client) =>
      Effect.callback<void, BenchError>((resume) => {
        const call = client.makeUnaryRequest<HelloRequest, HelloReply>(
          method,
          (request) => Buffer.from(HelloRequest.encode(request).finish()),
          (bytes) => HelloReply.decode(bytes),
          { name: "kratos" },
          (error, reply) => {
            if (error !== null) return resume(Effect.fail(failed(`SayHello failed: ${error.message}`)))
            if (reply?.message !== "Hello kratos") return resume(Effect.fail(failed(`SayHello answered ${JSON.stringify(reply)}`)))
            return resume(Effect.void)
          }
        )
        return Effect.sync(() => call.cancel())
      }).pipe(Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => Effect.fail(failed("SayHello: no answer within 5 s")) })),
    (client) => Effect.sync(() => client.close())
  )

const sameJson = (body: string): boolean => {
  try {
    return JSON.stringify(JSON.parse(body)) === `{"message":"Hello kratos"}`
  } catch {
    return false
  }
}

/** Fetches the greeting and expects 200, JSON, and nothing but `{"message":"Hello kratos"}`. */
export const rest = (port: number): Effect.Effect<void, BenchError> =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal })
      return { status: response.status, type: response.headers.get("content-type"), body: await response.text() }
    },
    catch: (cause) => failed(`GET ${path}: ${String(cause)}`)
  }).pipe(
    Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => Effect.fail(failed(`GET ${path}: no answer within 5 s`)) }),
    Effect.flatMap(({ body, status, type }) =>
      status === 200 && type?.startsWith("application/json") === true && sameJson(body)
        ? Effect.void
        : Effect.fail(failed(`GET ${path} answered ${status} ${type} ${body}`))
    )
  )
