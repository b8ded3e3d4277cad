/** What the wires of a client have to say; how calls find connections, wait, expire and are cancelled is the same for all of them. */
import type { DescMethod, Message } from "@bufbuild/protobuf"
import type { CallShape } from "@effect-kratos/core/Call"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import type { MutableMetadata } from "@effect-kratos/core/Metadata"
import type { Try } from "@effect-kratos/core/selector/Selector"
import type { StreamListener } from "@effect-kratos/http2/Stream"
import type { Encoding } from "./grpc/Compression.ts"
import type { Format, MessageCodec } from "./MessageCodec.ts"
import type { ReadAhead } from "./ReadAhead.ts"

export type Field = readonly [name: string, value: string]

/** What a protocol is made from, for one method. */
export interface MethodOptions {
  readonly desc: DescMethod
  readonly input: MessageCodec
  readonly format: Format
  /** Of request messages. */
  readonly compression: Encoding | undefined
  /** Calls by GET where the protocol has that and the method no side effects. */
  readonly useGet: boolean
}

/** One method over one protocol. */
export interface ClientProtocol {
  /** As `Call.transport` names it. */
  readonly name: string
  /** The request's head, less the pseudo fields, the timeout and the metadata of a call. */
  readonly head: ReadonlyArray<Field>
  /** The field that says how many milliseconds are left. */
  readonly timeout: (milliseconds: number) => Field
  /** A request message as a part of the body. May throw when the message is not what its type says. */
  readonly encode: (message: object) => Uint8Array
  /** For methods that are called by GET. */
  readonly get?: GetForm | undefined
  /** Reads one reply. */
  readonly exchange: (receiver: Receiver) => ClientExchange
}

/** A request without a body, whose message is in its query. */
export interface GetForm {
  /** In place of the protocol's head. */
  readonly head: ReadonlyArray<Field>
  /** `?…` for an encoded message; undefined for one that is too long for an address and is posted. */
  readonly query: (message: Uint8Array) => string | undefined
}

/** The request and the reply as they go over a version of HTTP: what a call needs of a stream of HTTP/2. */
export interface ClientStream {
  readonly closed: boolean
  /** Sends a part, by reference. False when the wire is slow: the part is kept all the same, and `onDrain` says when to go on. */
  readonly data: (chunk: Uint8Array, endStream: boolean) => boolean
  /** So many bytes of the reply have been taken: as many more may come. */
  readonly consumed: (bytes: number) => void
  /** Breaks it off. */
  readonly reset: (code: number) => void
}

/** The reply of a stream on its way. */
export interface ClientExchange extends StreamListener {
  readonly onHeaders: NonNullable<StreamListener["onHeaders"]>
  readonly onDrain: NonNullable<StreamListener["onDrain"]>
  readonly receiver: Receiver
  /** Set once the stream is open. */
  stream: ClientStream | undefined
  /** Gives the call up: the server's handler is interrupted. */
  readonly cancel: () => void
  /** Ends the call with what kept it from its reply, where HTTP/2 has no code for it. */
  readonly fail: (error: KratosError) => void
}

/** A node that a call is sent to. */
export interface Peer {
  readonly address: string
  readonly begin: (call: CallShape) => Try<unknown>
}

/** What hears of a reply. Exactly one of `onEnd` and `onUnprocessed` is called, once. */
export interface Receiver {
  readonly output: MessageCodec
  readonly maxMessageBytes: number
  /** Nothing of the request has left; `onEnd` says why. */
  readonly onUnsent: () => void
  /** The node that was picked cannot be reached: the call goes to another. */
  readonly onPeer: (node: Peer) => void
  readonly onHeader: (metadata: MutableMetadata) => void
  /** `bytes`: the size of the message, after decompression. */
  readonly onMessage: (message: Message, bytes: number) => void
  /** Bytes of DATA came in; messages in them were delivered before. */
  readonly onBytes: (bytes: number) => void
  /** For replies that are streamed: reads them no further ahead of the caller than it should; then `onBytes` is not to be called. */
  readonly readAhead: (read: (part: Uint8Array) => boolean, compressed: boolean) => ReadAhead | undefined
  /** The reply is complete (undefined) or failed. */
  readonly onEnd: (error: KratosError | undefined, trailers: MutableMetadata | undefined) => void
  /** The server promises that it has not acted on the request: it may be sent again. */
  readonly onUnprocessed: () => void
  readonly onDrain: () => void
}
