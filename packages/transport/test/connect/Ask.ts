/** One HTTP exchange, byte by byte, over either version of HTTP; and what the protocols make of its reply. */
import * as ClientConnection from "@effect-kratos/http2/ClientConnection"
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import type { StreamListener } from "@effect-kratos/http2/Stream"
import { fromBinary } from "@bufbuild/protobuf"
import * as Effect from "effect/Effect"
import * as http from "node:http"
import type { Duplex } from "node:stream"
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts"
import { anyUnpack } from "@bufbuild/protobuf/wkt"

export const versions = ["HTTP/1.1", "HTTP/2"] as const
export type Version = (typeof versions)[number]

export interface Ask {
  readonly method?: string
  readonly path: string
  readonly fields?: Readonly<Record<string, string>>
  /** Written one after the other. */
  readonly body?: ReadonlyArray<Uint8Array | string>
}

export interface Answer {
  readonly status: number
  readonly fields: Readonly<Record<string, string>>
  readonly body: Buffer
}

interface Server {
  readonly connect: Effect.Effect<Duplex>
}

export const ask = (server: Server, version: Version, request: Ask): Effect.Effect<Answer> =>
  Effect.flatMap(server.connect, (duplex) => (version === "HTTP/2" ? ask2(duplex, request) : ask1(duplex, request)))

const ask1 = (duplex: Duplex, { body = [], fields, method = "POST", path }: Ask): Effect.Effect<Answer> =>
  Effect.callback((resume) => {
    const request = http.request({ createConnection: () => duplex, method, path, headers: { host: "test", ...fields } }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("error", (error) => resume(Effect.die(error)))
      response.on("end", () => {
        duplex.destroy()
        // no encoding is asked for that would make lists of them
        resume(Effect.succeed({ status: response.statusCode ?? 0, fields: flat(response.headers), body: Buffer.concat(chunks) }))
      })
    })
    request.on("error", (error) => resume(Effect.die(error)))
    for (const chunk of body) request.write(chunk)
    request.end()
  })

const flat = (headers: http.IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))

const ask2 = (duplex: Duplex, { body = [], fields, method = "POST", path }: Ask): Effect.Effect<Answer> =>
  Effect.callback((resume) => {
    const connection = ClientConnection.make(duplex)
    const chunks: Array<Buffer> = []
    let status = 0
    const found: Record<string, string> = {}
    const end = () => {
      connection.shutdown()
      resume(Effect.succeed({ status, fields: found, body: Buffer.concat(chunks) }))
    }
    const listener: StreamListener = {
      onHeaders: (headers, endStream) => {
        status = headers.status
        for (let i = 0; i < headers.fields.length; i += 2) {
          const name = headers.fields[i]!
          found[name] = name in found ? `${found[name]}, ${headers.fields[i + 1]}` : headers.fields[i + 1]!
        }
        if (endStream) end()
      },
      onData: (data, endStream) => {
        chunks.push(Buffer.from(data))
        stream.consumed(data.length)
        if (endStream) end()
      },
      onTrailers: end,
      onAbort: (code) => resume(Effect.die(new Error(`reset with ${code}`)))
    }
    const head = { ":method": method, ":scheme": "http", ":path": path, ":authority": "test", ...fields }
    const stream = connection.request(HeaderBlock.make(Object.entries(head)), listener, undefined, body.length === 0)!
    body.forEach((chunk, i) => stream.data(Buffer.from(chunk), i === body.length - 1))
    return Effect.sync(() => stream.reset(8))
  })

// ---- the replies

export interface Envelope {
  readonly flags: number
  readonly content: Buffer
}

export const envelope = (content: Uint8Array | string, flags = 0, length = content.length): Buffer => {
  const prefix = Buffer.alloc(5)
  prefix[0] = flags
  prefix.writeUInt32BE(length, 1)
  return Buffer.concat([prefix, Buffer.from(content)])
}

export const envelopes = (body: Buffer): ReadonlyArray<Envelope> => {
  const all: Array<Envelope> = []
  for (let at = 0; at < body.length;) {
    const end = at + 5 + body.readUInt32BE(at + 1)
    all.push({ flags: body[at]!, content: body.subarray(at + 5, end) })
    at = end
  }
  return all
}

export interface Failure {
  readonly code: string | number | undefined
  readonly message: string
  readonly reason: string
}

/** The error of Connect's JSON; code undefined when there is none. */
const fromJson = (json: { code?: string; message?: string; details?: Array<{ value: string }> } | undefined): Failure => {
  const detail = json?.details?.[0]
  const reason = detail === undefined ? "" : fromBinary(ErrorInfoSchema, Buffer.from(detail.value, "base64")).reason
  return { code: json?.code, message: json?.message ?? "", reason }
}

export const connectUnary = ({ body, status }: Answer): Failure => fromJson(status === 200 ? undefined : JSON.parse(body.toString()))

export const connectStream = ({ body }: Answer): Failure => {
  const last = envelopes(body).at(-1)
  if (last?.flags !== 2) throw new Error("the reply has no last envelope")
  return fromJson(JSON.parse(last.content.toString()).error)
}

/** The status of gRPC-Web, from the head or the last envelope. */
export const grpcWeb = (answer: Answer): Failure => {
  const text = (answer.fields["content-type"] ?? "").startsWith("application/grpc-web-text")
  const body = text
    ? Buffer.concat((answer.body.toString().match(/[^=]+=*/g) ?? []).map((part) => Buffer.from(part, "base64")))
    : answer.body
  const last = envelopes(body).at(-1)
  const lines = last?.flags === 0x80 ? last.content.toString().split("\r\n") : []
  const trailers = Object.fromEntries(lines.filter((line) => line !== "").map((line) => line.split(": ")))
  const fields: Record<string, string> = "grpc-status" in answer.fields ? answer.fields : trailers
  const details = fields["grpc-status-details-bin"]
  const detail = details === undefined ? undefined : fromBinary(StatusSchema, Buffer.from(details, "base64")).details[0]
  const info = detail === undefined ? undefined : anyUnpack(detail, ErrorInfoSchema)
  return { code: Number(fields["grpc-status"]), message: fields["grpc-message"] ?? "", reason: info?.reason ?? "" }
}
