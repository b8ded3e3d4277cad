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

/**
 * Whether a method may be executed more than once for one call, as its contract says (`google.protobuf.MethodOptions.idempotency_level`, or the verb of its
 * HTTP rule on REST).
 */
export type Idempotency = "no_side_effects" | "idempotent"

/** What is known of a method before any call: the key by which aspects are matched and metrics are made. */
export interface Method {
  readonly side: Side
  /** `/package.Service/Method`, on every transport. */
  readonly operation: string
  readonly service: string
  readonly method: string
  readonly kind: Kind
  /** Undefined when the contract does not say: it is then executed once at most. */
  readonly idempotency?: Idempotency | undefined
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
  /** Client: how many attempts were made before this one, by `Retry` or `Hedge`. Undefined or 0 for the first. */
  readonly attempt?: number | undefined
  /** Client: addresses of the nodes that earlier attempts of this call went to. Balancers choose others while there are any. */
  readonly tried?: ReadonlyArray<string> | undefined
}

/**
 * A client's call, as aspects see it that make further attempts of it. The call itself is its first attempt; the others are calls of their own, which share
 * the request, and whose reply becomes that of the call when it is adopted. A reply stream is the first attempt's that delivers a message.
 */
export interface ClientCall extends CallShape {
  readonly attempt: number
  readonly tried: ReadonlyArray<string>
  /** The server may have acted on this attempt. */
  readonly processed: boolean
  /** A message of the reply has been delivered, or the streamed request is longer than what is kept: no other attempt can take this one's place. */
  readonly committed: boolean
  /** Keeps the messages of a streamed request for further attempts, up to so many bytes as sent. The caller's stream runs once, with these services. */
  readonly keep: (maxBytes: number, services: Context.Context<never>) => void
  /** Another attempt, with this metadata. */
  readonly again: (attempt: number, request: Metadata.MutableMetadata) => ClientCall
  /** Takes the reply of an attempt for that of the call. */
  readonly adopt: (attempt: ClientCall) => void
  /** Hears which attempt commits, before anything else of it is seen. */
  readonly onCommit: (listener: (attempt: ClientCall) => void) => void
  /** There will be no further attempts. */
  readonly release: () => void
}

/** Whether further attempts of a call can be made. */
export const isClientCall = (call: CallShape): call is ClientCall => call.side === "client" && "again" in call

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
