/** Real clients that ask each subject for the expected answer, before and after it is timed: load programs look at `:status` only. */
import * as grpc from "@grpc/grpc-js"
import * as Effect from "effect/Effect"
import { createChannel, createClient } from "nice-grpc"
import { type BenchError, failed } from "./BenchError.ts"
import { Chunk, DownloadRequest, LoadDefinition } from "./gen/ts-proto/bench/v1/load.ts"
import { HelloReply, HelloRequest } from "./gen/ts-proto/helloworld/v1/greeter.ts"

export const method = "/helloworld.v1.Greeter/SayHello"
export const path = "/helloworld/kratos"

/** Bytes in a chunk of a stream, and chunks in a stream. */
export const CHUNK = 1024
export const CHUNKS = 1000
/** Bytes in a large message. */
export const LARGE = 1_048_576

/** A message behind the five bytes of gRPC's framing. */
export const framed = (message: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(5 + message.length)
  new DataView(bytes.buffer).setUint32(1, message.length)
  bytes.set(message, 5)
  return bytes
}

/** The body of a gRPC request for "kratos". */
export const frame = (): Uint8Array => framed(HelloRequest.encode({ name: "kratos" }).finish())

/** The same in base64. */
export const body = (): string => Buffer.from(frame()).toString("base64")

/** Bytes of the reply to it, framing included. */
export const REPLY = framed(HelloReply.encode({ message: "Hello kratos" }).finish()).length

/** The body of a request for a stream. */
export const downloadFrame = (): Uint8Array => framed(DownloadRequest.encode({ count: CHUNKS, bytes: CHUNK }).finish())

/** A message of the stream, framed, as it is on the wire. */
export const chunkFrame = (bytes: number): Uint8Array => framed(Chunk.encode({ data: new Uint8Array(bytes) }).finish())

/** Calls the methods of `bench.v1.Load` and expects every byte that was asked for. */
export const load = (port: number): Effect.Effect<void, BenchError> =>
  Effect.acquireUseRelease(
    Effect.sync(() => createChannel(`127.0.0.1:${port}`)),
    (channel) =>
      Effect.tryPromise({
        try: async (signal) => {
          const client = createClient(LoadDefinition, channel)
          let chunks = 0
          for await (const { data } of client.download({ count: 100, bytes: CHUNK }, { signal })) {
            if (data.length !== CHUNK) throw new Error(`a chunk of ${data.length} bytes`)
            chunks++
          }
          if (chunks !== 100) throw new Error(`${chunks} chunks of 100`)
          const sent = async function* () {
            for (let i = 0; i < 100; i++) yield { data: Buffer.alloc(CHUNK) }
          }
          const { bytes, count } = await client.upload(sent(), { signal })
          if (count !== 100 || bytes !== 100 * CHUNK) throw new Error(`${count} chunks, ${bytes} bytes arrived`)
          let answered = 0
          for await (const reply of client.chat(sent(), { signal })) answered += reply.data.length
          if (answered !== 100 * CHUNK) throw new Error(`${answered} bytes came back from a chat`)
          const data = Buffer.alloc(LARGE, "large")
          const reply = await client.echo({ data }, { signal })
          if (!data.equals(reply.data)) throw new Error(`${reply.data.length} other bytes came back`)
        },
        catch: (cause) => failed(`Load: ${String(cause)}`)
      }).pipe(Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.fail(failed("Load: no answer within 10 s")) })),
    (channel) => Effect.sync(() => channel.close())
  )

/** Calls SayHello with grpc-js and expects `Hello kratos` with status OK; over TLS when there is a certificate to trust. */
export const unary = (port: number, certificate?: Buffer): Effect.Effect<void, BenchError> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const credentials = certificate === undefined ? grpc.credentials.createInsecure() : grpc.credentials.createSsl(certificate)
      return new grpc.Client(`127.0.0.1:${port}`, credentials, { "grpc.ssl_target_name_override": "localhost" })
    }),
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
