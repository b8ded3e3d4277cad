/**
 * The call in progress, as aspects and handlers see it: who calls what over which wire, the metadata of both directions, the deadline.
 * A server provides it to each call; on the client side the channel provides it to the client's aspects.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Deadline } from "./Deadline.ts"
import type { KratosError } from "./error/KratosError.ts"
import * as Metadata from "./Metadata.ts"

export type Side = "server" | "client"

export type Kind = "unary" | "client_streaming" | "server_streaming" | "bidi_streaming"

/** What is known of a method before any call: the key by which aspects are matched and metrics are made. */
export interface Method {
  readonly side: Side
  /** `/package.Service/Method`, on every transport. */
  readonly operation: string
  readonly service: string
  readonly method: string
  readonly kind: Kind
}

/** Who the other end of a call has proved to be by its certificate. */
export interface PeerIdentity {
  readonly commonName: string
  /** Subject alternative names with their kind: `DNS:example.org`, `URI:spiffe://…`. */
  readonly names: ReadonlyArray<string>
  /** SHA-256 of the certificate, in hexadecimal pairs with colons. */
  readonly fingerprint: string
}

export interface CallShape extends Method {
  /** `grpc`, `http`, … : the wire this call came or goes by. */
  readonly transport: string
  /** Address of the other end, `host:port`; empty when it is not known (yet). */
  readonly peer: string
  /** Server: the client's identity, when it showed a certificate that the server trusts. */
  readonly identity?: PeerIdentity | undefined
  /** Server: the address it came in at; client: the target as configured. */
  readonly endpoint: string
  /** REST: the path template that matched. */
  readonly pathTemplate: string | undefined
  /** REST, server: the method of the request. */
  readonly httpMethod?: string | undefined
  /** Metadata of the request. On the client side it is what will be sent: aspects add to it before the call. */
  readonly request: Metadata.MutableMetadata
  /** Header metadata of the reply. On the server side it is what will be sent. */
  readonly reply: Metadata.MutableMetadata
  /** Trailer metadata of the reply; REST has none and sends them as headers. */
  readonly trailers: Metadata.MutableMetadata
  readonly deadline: Deadline | undefined
  /** The request message of a unary or server-streaming call, once it is decoded. */
  readonly message: unknown
  /**
   * For calls that stream their requests: `check` sees each message before the handler or the wire does, and the first for which it has an
   * error ends the stream with it. Undefined where messages cannot be seen.
   */
  readonly inspect?: ((check: (message: unknown) => KratosError | undefined) => void) | undefined
}

export class Call extends Context.Service<Call, CallShape>()("@effect-kratos/core/Call") {}

/** The first value of a request header; undefined when absent. */
export const header = (key: string): Effect.Effect<string | undefined, never, Call> =>
  Effect.map(Call, (call) => call.request.get(key.toLowerCase())?.[0])

/** Sets a header of the reply. Without effect once the reply's head is sent (streams: with the first message). */
export const setReplyHeader = (key: string, value: string): Effect.Effect<void, never, Call> =>
  Effect.map(Call, (call) => Metadata.set(call.reply, key, value))

/** Sets a trailer of the reply. */
export const setReplyTrailer = (key: string, value: string): Effect.Effect<void, never, Call> =>
  Effect.map(Call, (call) => Metadata.set(call.trailers, key, value))
