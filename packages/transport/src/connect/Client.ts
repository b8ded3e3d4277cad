/** Connect over HTTP/2, the client's side: unary calls with bare messages, streams with envelopes. Messages are in protobuf's binary form. */
import type { DescMethod } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { MutableMetadata } from "@effect-kratos/core/Metadata"
import { ErrorCode } from "@effect-kratos/http2/ErrorCode"
import type { Headers } from "@effect-kratos/http2/Headers"
import type { Stream as H2Stream } from "@effect-kratos/http2/Stream"
import { ByteBuffer } from "../ByteBuffer.ts"
import type { ClientExchange, ClientProtocol, Receiver } from "../ClientProtocol.ts"
import { aborted } from "../grpc/Client.ts"
import * as Compression from "../grpc/Compression.ts"
import * as GrpcMessage from "../grpc/Message.ts"
import * as MessageCodec from "../MessageCodec.ts"
import type { ReadAhead } from "../ReadAhead.ts"
import * as EndStream from "./EndStream.ts"
import { EnvelopeReader } from "./EnvelopeReader.ts"
import * as ReplyError from "./ReplyError.ts"
import * as ReplyFields from "./ReplyFields.ts"
import * as Timeout from "./Timeout.ts"

/** Connect for messages of one method. */
export const protocol = (desc: DescMethod, input: MessageCodec.MessageCodec, compressed: boolean): ClientProtocol => {
  const unary = desc.methodKind === "unary"
  const prefix = unary ? "" : "connect-"
  return {
    name: "connect",
    head: [
      ["content-type", unary ? "application/proto" : "application/connect+proto"],
      ["connect-protocol-version", "1"],
      ["user-agent", "connect-effect-kratos"],
      [`${prefix}accept-encoding`, "gzip"],
      ...(compressed ? [[`${prefix}content-encoding`, "gzip"] as const] : [])
    ],
    timeout: (milliseconds) => [Timeout.HEADER, Timeout.format(milliseconds)],
    encode: unary
      ? compressed
        ? (message) => Compression.compress("gzip", input.encode(message))
        : input.encode
      : compressed
        ? (message) => GrpcMessage.frame(input.encode(message), "gzip")
        : (message) => MessageCodec.encodeFramed(input, message),
    exchange: (receiver) => (unary ? new UnaryExchange(receiver) : new StreamExchange(receiver))
  }
}

abstract class Exchange implements ClientExchange {
  stream: H2Stream | undefined = undefined
  protected readonly receiver: Receiver
  protected compressed = false
  protected ended = false

  constructor(receiver: Receiver) {
    this.receiver = receiver
  }

  abstract onHeaders(headers: Headers, endStream: boolean): void
  abstract onData(data: Uint8Array, endStream: boolean): void
  /** The protocol has no trailers in HTTP; the end is what counts. */
  abstract onTrailers(): void

  onAbort(code: number, processed: boolean): void {
    if (this.ended) return
    this.ended = true
    if (processed) this.receiver.onEnd(aborted(code), undefined)
    else this.receiver.onUnprocessed()
  }

  onDrain(): void {
    this.receiver.onDrain()
  }

  cancel(): void {
    this.ended = true
    this.stream?.reset(ErrorCode.CANCEL)
  }

  /** False, with the call failed, when replies are compressed in a way that we do not read. */
  protected readEncoding(encoding: string | undefined): boolean {
    this.compressed = encoding === "gzip"
    if (this.compressed || encoding === undefined || encoding === "identity") return true
    this.finish(ReplyError.malformed(`the reply is compressed with ${JSON.stringify(encoding.slice(0, 32))}`), undefined)
    return false
  }

  /** Hands over the message of bytes; false when there is none, and the call has failed. */
  protected deliver(bytes: Uint8Array, compressed: boolean, trailers: MutableMetadata | undefined): boolean {
    const plain = compressed ? Compression.decompress("gzip", bytes, this.receiver.maxMessageBytes) : bytes
    const message = plain instanceof KratosError.KratosError ? plain : this.receiver.output.decode(plain)
    if (message === undefined || message instanceof KratosError.KratosError) {
      this.finish(message ?? ReplyError.malformed("a reply message cannot be decoded"), trailers)
      return false
    }
    this.receiver.onMessage(message, plain instanceof KratosError.KratosError ? 0 : plain.length)
    return true
  }

  protected finish(error: KratosError.KratosError | undefined, trailers: MutableMetadata | undefined): void {
    if (this.ended) return
    this.ended = true
    this.receiver.onEnd(error, trailers)
    const { stream } = this
    if (stream === undefined || stream.closed) return
    // Nothing more is wanted of a stream that failed half-way, or whose request is still going out. One that is complete closes behind this callback.
    queueMicrotask(() => stream.reset(error === undefined ? ErrorCode.NO_ERROR : ErrorCode.CANCEL))
  }
}

class UnaryExchange extends Exchange {
  private status = 0
  private contentType = ""
  private trailers: MutableMetadata | undefined = undefined
  private readonly body = new ByteBuffer()

  onHeaders(headers: Headers, endStream: boolean): void {
    const { header, trailers } = ReplyFields.split(headers.fields)
    this.trailers = trailers
    this.status = headers.status
    this.contentType = headers.get("content-type") ?? ""
    this.receiver.onHeader(header)
    if (this.readEncoding(headers.get("content-encoding")) && endStream) this.complete()
  }

  onData(data: Uint8Array, endStream: boolean): void {
    if (this.ended) return
    if (this.body.length + data.length > this.receiver.maxMessageBytes)
      return this.finish(ReplyError.tooLarge(this.receiver.maxMessageBytes), undefined)
    this.body.add(data)
    this.receiver.onBytes(data.length)
    if (endStream) this.complete()
  }

  onTrailers(): void {
    if (!this.ended) this.complete()
  }

  private complete(): void {
    const body = this.body.take()
    if (this.status !== 200) return this.finish(this.error(body), this.trailers)
    if (this.contentType !== "application/proto") return this.finish(ReplyError.wrongType(this.contentType), this.trailers)
    if (this.deliver(body, this.compressed && body.length > 0, this.trailers)) this.finish(undefined, this.trailers)
  }

  private error(body: Uint8Array): KratosError.KratosError {
    const plain = this.compressed ? Compression.decompress("gzip", body, this.receiver.maxMessageBytes) : body
    return plain instanceof KratosError.KratosError ? plain : ReplyError.ofUnary(this.status, this.contentType, plain)
  }
}

class StreamExchange extends Exchange {
  private readonly reader: EnvelopeReader
  private ahead: ReadAhead | undefined = undefined
  /** The last envelope; the end of the body follows it. */
  private last: EndStream.End | undefined = undefined

  constructor(receiver: Receiver) {
    super(receiver)
    this.reader = new EnvelopeReader(receiver.maxMessageBytes)
  }

  onHeaders(headers: Headers, endStream: boolean): void {
    const contentType = headers.get("content-type") ?? ""
    if (headers.status !== 200) return this.finish(ReplyError.ofStatus(headers.status), undefined)
    if (contentType !== "application/connect+proto") return this.finish(ReplyError.wrongType(contentType), undefined)
    if (!this.readEncoding(headers.get("connect-content-encoding"))) return
    this.ahead = this.receiver.readAhead((part) => this.read(part), this.compressed)
    this.receiver.onHeader(ReplyFields.split(headers.fields).header)
    if (endStream) this.onTrailers()
  }

  onData(data: Uint8Array, endStream: boolean): void {
    if (this.ended) return
    if (this.ahead === undefined) {
      this.read(data)
      this.receiver.onBytes(data.length)
    } else this.ahead.push(data)
    if (endStream) this.onTrailers()
  }

  private read(part: Uint8Array): boolean {
    if (this.ended) return false
    const over = this.reader.push(part, (flags, content) => this.onEnvelope(flags, content))
    if (over !== undefined) this.finish(ReplyError.tooLarge(this.receiver.maxMessageBytes), undefined)
    return !this.ended
  }

  onTrailers(): void {
    if (this.ahead === undefined) this.complete()
    else this.ahead.end(() => this.complete())
  }

  private complete(): void {
    if (this.last !== undefined && this.reader.idle) this.finish(this.last.error, this.last.trailers)
    else this.finish(ReplyError.malformed("the reply ended without its last envelope"), undefined)
  }

  override onAbort(code: number, processed: boolean): void {
    if (this.last !== undefined) this.onTrailers()
    else super.onAbort(code, processed)
  }

  private onEnvelope(flags: number, content: Uint8Array): void {
    if (this.ended) return
    if (this.last !== undefined) return this.finish(ReplyError.malformed("the reply goes on behind its last envelope"), undefined)
    if (flags > 3 || ((flags & 1) !== 0 && !this.compressed))
      return this.finish(ReplyError.malformed(`envelope flags ${flags} are not defined here`), undefined)
    if ((flags & EndStream.FLAG) !== 0) return this.onEndStream((flags & 1) !== 0, content)
    this.deliver(content, flags === 1, undefined)
  }

  private onEndStream(compressed: boolean, content: Uint8Array): void {
    const plain = compressed ? Compression.decompress("gzip", content, this.receiver.maxMessageBytes) : content
    this.last = plain instanceof Uint8Array ? EndStream.decode(plain) : undefined
    if (this.last === undefined) this.finish(ReplyError.malformed("the last envelope cannot be decoded"), undefined)
  }
}
