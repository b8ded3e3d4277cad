/** What the wires of a client have to say; how calls find connections, wait, expire and are cancelled is the same for all of them. */
import type { Message } from "@bufbuild/protobuf"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import type { MutableMetadata } from "@effect-kratos/core/Metadata"
import type { Stream as H2Stream, StreamListener } from "@effect-kratos/http2/Stream"
import type { MessageCodec } from "./MessageCodec.ts"
import type { ReadAhead } from "./ReadAhead.ts"

type Field = readonly [name: string, value: string]

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
  /** Reads one reply. */
  readonly exchange: (receiver: Receiver) => ClientExchange
}

/** The reply of a stream on its way. */
export interface ClientExchange extends StreamListener {
  /** Set once the stream is open. */
  stream: H2Stream | undefined
  /** Gives the call up: the server's handler is interrupted. */
  readonly cancel: () => void
}

/** What hears of a reply. Exactly one of `onEnd` and `onUnprocessed` is called, once. */
export interface Receiver {
  readonly output: MessageCodec
  readonly maxMessageBytes: number
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
