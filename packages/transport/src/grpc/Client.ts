/**
 * gRPC over HTTP/2, the client's side: one exchange on a connection. It opens the stream, feeds it, reads the reply and says how it ended;
 * waiting, deadlines and retries of streams that the server never saw belong to the caller in `Client.ts`.
 */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import type { MutableMetadata } from "@effect-kratos/core/Metadata"
import { ErrorCode } from "@effect-kratos/http2/ErrorCode"
import type { Headers } from "@effect-kratos/http2/Headers"
import type { Stream as H2Stream } from "@effect-kratos/http2/Stream"
import type { ClientExchange, ClientProtocol, Receiver } from "../ClientProtocol.ts"
import * as HeaderFields from "../HeaderFields.ts"
import type { ReadAhead } from "../ReadAhead.ts"
import * as MessageCodec from "../MessageCodec.ts"
import * as MessageCompression from "../MessageCompression.ts"
import * as Compression from "./Compression.ts"
import * as GrpcError from "./GrpcError.ts"
import * as GrpcMessage from "./Message.ts"
import * as GrpcStatus from "./Status.ts"
import * as Timeout from "./Timeout.ts"

/** gRPC for messages of one method. */
export const protocol = (input: MessageCodec.MessageCodec, compression: Compression.Encoding | undefined): ClientProtocol => ({
  name: "grpc",
  head: [
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ["user-agent", "grpc-effect-kratos"],
    ["grpc-accept-encoding", Compression.ACCEPTED],
    ...(compression === undefined ? [] : [["grpc-encoding", compression] as const])
  ],
  timeout: (milliseconds) => ["grpc-timeout", Timeout.format(milliseconds)],
  encode:
    compression === undefined
      ? (message) => MessageCodec.encodeFramed(input, message)
      : (message) =>
          MessageCompression.isPlain(message)
            ? MessageCodec.encodeFramed(input, message)
            : GrpcMessage.frame(input.encode(message), compression),
  exchange: (receiver) => new Exchange(receiver)
})

class Exchange implements ClientExchange {
  stream: H2Stream | undefined = undefined
  private readonly receiver: Receiver
  private reader: GrpcMessage.Reader | undefined = undefined
  private ahead: ReadAhead | undefined = undefined
  private ended = false

  constructor(receiver: Receiver) {
    this.receiver = receiver
  }

  onHeaders(headers: Headers, endStream: boolean): void {
    const error = this.check(headers)
    if (error !== undefined) return this.finish(error, undefined)
    if (endStream) return this.end(HeaderFields.toTrailers(headers.fields)) // a reply of trailers only
    const encoding = Compression.parse(headers.get("grpc-encoding"))
    if (typeof encoding === "object") return this.finish(GrpcError.malformed(`the reply: ${encoding.message}`), undefined)
    this.reader = new GrpcMessage.Reader(this.receiver.maxMessageBytes, encoding)
    this.ahead = this.receiver.readAhead((part) => this.read(part), encoding !== undefined)
    this.receiver.onHeader(HeaderFields.toMetadata(headers.fields))
  }

  private check(headers: Headers): KratosError | undefined {
    if (headers.status !== 200) return GrpcStatus.fromHttpStatus(headers.status)
    const contentType = headers.get("content-type") ?? ""
    return /^application\/grpc(?:$|[+;])/.test(contentType) ? undefined : GrpcError.notGrpc(contentType)
  }

  onData(data: Uint8Array, endStream: boolean): void {
    if (this.ended || this.reader === undefined) return
    if (this.ahead === undefined) {
      this.read(data)
      this.receiver.onBytes(data.length)
    } else this.ahead.push(data)
    if (endStream) this.whenRead(() => this.finish(GrpcError.malformed("the reply ended without trailers"), undefined))
  }

  /** The messages in a part; false when it holds none that can be read, and the call has failed. */
  private read(part: Uint8Array): boolean {
    if (this.ended) return false
    let undecodable = false
    const error = this.reader!.push(part, (bytes, compressed, owned) => {
      const message = this.receiver.output.decode(bytes, owned)
      if (compressed && message !== undefined) MessageCompression.received(message)
      if (message === undefined) undecodable = true
      else if (!undecodable) this.receiver.onMessage(message, bytes.length)
    })
    if (undecodable) this.finish(GrpcError.malformed("a reply message cannot be decoded"), undefined)
    else if (error !== undefined) this.finish(error, undefined)
    return !this.ended
  }

  onTrailers(trailers: Headers): void {
    this.whenRead(() => {
      if (this.reader?.idle === false) this.finish(GrpcError.malformed("the reply ended inside a message"), undefined)
      else this.end(HeaderFields.toTrailers(trailers.fields))
    })
  }

  private whenRead(then: () => void): void {
    if (this.ahead === undefined) then()
    else this.ahead.end(then)
  }

  onAbort(code: number, processed: boolean): void {
    if (this.ended) return
    this.ended = true
    if (!processed) this.receiver.onUnprocessed()
    else this.receiver.onEnd(aborted(code), undefined)
  }

  onDrain(): void {
    this.receiver.onDrain()
  }

  /** Gives the call up: the server's handler is interrupted. */
  cancel(): void {
    this.ended = true
    this.stream?.reset(ErrorCode.CANCEL)
  }

  private end(trailers: MutableMetadata): void {
    this.finish(GrpcStatus.fromMetadata(trailers), trailers)
  }

  private finish(error: KratosError | undefined, trailers: MutableMetadata | undefined): void {
    if (this.ended) return
    this.ended = true
    this.receiver.onEnd(error, trailers)
    const { stream } = this
    if (stream === undefined || stream.closed) return
    // Nothing more is wanted of a stream that failed half-way, or whose request is still going out. One that is complete closes behind this callback.
    queueMicrotask(() => stream.reset(error === undefined ? ErrorCode.NO_ERROR : ErrorCode.CANCEL))
  }
}

/** The error of a reset stream or a lost connection (gRPC over HTTP/2, "Errors"). */
export const aborted = (code: number): KratosError => {
  switch (code) {
    case ErrorCode.CANCEL:
      return GrpcError.cancelled("the server cancelled the call")
    case ErrorCode.REFUSED_STREAM:
    case ErrorCode.CONNECT_ERROR:
      return GrpcError.unavailable("the connection was lost before the reply was complete")
    case ErrorCode.ENHANCE_YOUR_CALM:
      return GrpcError.tooManyCalls()
    case ErrorCode.INADEQUATE_SECURITY:
      return GrpcError.insecure()
    default:
      return GrpcError.malformed(`the server reset the stream with HTTP/2 error ${code}`)
  }
}
