/** What the replies of all protocols have in common at a client: how they end, are cancelled and break off. */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import type { MutableMetadata } from "@effect-kratos/core/Metadata"
import { ErrorCode } from "@effect-kratos/http2/ErrorCode"
import type { Headers } from "@effect-kratos/http2/Headers"
import type { ClientExchange, ClientStream, Receiver } from "./ClientProtocol.ts"
import * as GrpcError from "./grpc/GrpcError.ts"

export abstract class ClientReply implements ClientExchange {
  stream: ClientStream | undefined = undefined
  readonly receiver: Receiver
  protected ended = false

  constructor(receiver: Receiver) {
    this.receiver = receiver
  }

  abstract onHeaders(headers: Headers, endStream: boolean): void
  abstract onData(data: Uint8Array, endStream: boolean): void
  abstract onTrailers(trailers: Headers): void

  onAbort(code: number, processed: boolean): void {
    if (this.ended) return
    this.ended = true
    if (processed) this.receiver.onEnd(aborted(code), undefined)
    else this.receiver.onUnprocessed()
  }

  onDrain(): void {
    this.receiver.onDrain()
  }

  /** Gives the call up: the server's handler is interrupted. */
  cancel(): void {
    this.ended = true
    this.stream?.reset(ErrorCode.CANCEL)
  }

  fail(error: KratosError): void {
    this.finish(error, undefined)
  }

  protected finish(error: KratosError | undefined, trailers: MutableMetadata | undefined): void {
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
const aborted = (code: number): KratosError => {
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
