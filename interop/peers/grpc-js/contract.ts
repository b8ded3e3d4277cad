/** The test contract for grpc-js, loaded from the proto files: its loader does not know maps in descriptor sets. */
import type * as grpc from "@grpc/grpc-js"
import * as protoLoader from "@grpc/proto-loader"
import { fileURLToPath } from "node:url"

export interface Request {
  readonly text?: string
  readonly payload?: Uint8Array
  readonly count?: number
  readonly delay_ms?: number
  readonly fail_reason?: string
  readonly echo_metadata?: ReadonlyArray<string>
}

export interface Reply {
  readonly text: string
  readonly payload: Uint8Array
  readonly index: number
  readonly metadata: Readonly<Record<string, string>>
}

/** google.rpc.Status; the details are google.protobuf.Any. */
export interface Status {
  readonly code: number
  readonly message: string
  readonly details: ReadonlyArray<{ readonly type_url: string; readonly value: Uint8Array }>
}

export interface ErrorInfo {
  readonly reason: string
  readonly domain: string
  readonly metadata: Readonly<Record<string, string>>
}

/** Codes by reason, as the enum TestReason maps them; TEAPOT has no gRPC code of its own. */
export const codes: Readonly<Record<string, number>> = { THING_NOT_FOUND: 5, QUOTA_EXHAUSTED: 8, TEAPOT: 2 }

/** A call whose text starts so asks how many calls of the text behind it were interrupted. */
export const askInterrupted = "@interrupted:"

export const detailType = "type.googleapis.com/google.rpc.ErrorInfo"

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const folder = (name: string) => fileURLToPath(new URL(`../../../packages/${name}`, import.meta.url))

const definition = protoLoader.loadSync(
  ["test/v1/echo.proto", "google/rpc/status.proto", "google/rpc/error_details.proto", "grpc/health/v1/health.proto"],
  { includeDirs: [folder("transport/test/proto"), folder("protoc-gen/proto")], keepCase: true, defaults: true, enums: String }
)

const service = (name: string): grpc.ServiceDefinition => definition[name] as grpc.ServiceDefinition // the map holds messages and enums too

export const Echo = service("test.v1.Echo")
export const Health = service("grpc.health.v1.Health")

interface Codec<T> {
  readonly encode: (value: T) => Buffer
  readonly decode: (bytes: Uint8Array) => T
}

const codec = <T>(name: string): Codec<T> => {
  const message = definition[name] as protoLoader.MessageTypeDefinition<object, object>
  // the loader types messages as objects; the contract says what they are
  return { encode: (value) => message.serialize(value as object), decode: (encoded) => message.deserialize(Buffer.from(encoded)) as T }
}

export const StatusCodec = codec<Status>("google.rpc.Status")
export const ErrorInfoCodec = codec<ErrorInfo>("google.rpc.ErrorInfo")
export const RequestCodec = codec<Request>("test.v1.EchoRequest")
export const ReplyCodec = codec<Reply>("test.v1.EchoReply")
