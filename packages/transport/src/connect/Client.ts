/**
 * Connect, the client's side: unary calls with bare messages, by POST or, where a method has no side effects and it is asked for, by GET; streams with
 * envelopes.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { MutableMetadata } from "@effect-kratos/core/Metadata"
import type { Headers } from "@effect-kratos/http2/Headers"
import { ByteBuffer } from "../ByteBuffer.ts"
import type { ClientProtocol, MethodOptions, Receiver } from "../ClientProtocol.ts"
import { ClientReply } from "../ClientReply.ts"
import * as Compression from "../grpc/Compression.ts"
import * as GrpcMessage from "../grpc/Message.ts"
import * as MessageCodec from "../MessageCodec.ts"
import type { ReadAhead } from "../ReadAhead.ts"
import * as EndStream from "./EndStream.ts"
import { EnvelopeReader } from "./EnvelopeReader.ts"
import * as GetForm from "./GetForm.ts"
import * as ReplyError from "./ReplyError.ts"
import * as ReplyFields from "./ReplyFields.ts"
import * as Timeout from "./Timeout.ts"

/** Connect for messages of one method. Its only compression is gzip. */
export const protocol = ({ compression, desc, format, input, useGet }: MethodOptions): ClientProtocol => {
  const unary = desc.methodKind === "unary"
  const prefix = unary ? "" : "connect-"
  const compressed = compression !== undefined
  const contentType = unary ? `application/${format}` : `application/connect+${format}`
  const common = [
    ["user-agent", "connect-effect-kratos"],
    [`${prefix}accept-encoding`, "gzip"]
  ] as const
  return {
    name: "connect",
    head: [
      ["content-type", contentType],
      ["connect-protocol-version", "1"],
      ...common,
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
    get: useGet && GetForm.isSafe(desc) ? { head: common, query: (message) => GetForm.query(message, format, compressed) } : undefined,
    exchange: (receiver) => (unary ? new UnaryExchange(receiver, contentType) : new StreamExchange(receiver, contentType))
  }
}

abstract class Exchange extends ClientReply {
  protected compressed = false

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
}

class UnaryExchange extends Exchange {
  private readonly expected: string
  private status = 0
  private contentType = ""
  private trailers: MutableMetadata | undefined = undefined
  private readonly body = new ByteBuffer()

  constructor(receiver: Receiver, expected: string) {
    super(receiver)
    this.expected = expected
  }

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
    if (!isType(this.contentType, this.expected)) return this.finish(ReplyError.wrongType(this.contentType), this.trailers)
    if (this.deliver(body, this.compressed && body.length > 0, this.trailers)) this.finish(undefined, this.trailers)
  }

  private error(body: Uint8Array): KratosError.KratosError {
    const plain = this.compressed ? Compression.decompress("gzip", body, this.receiver.maxMessageBytes) : body
    return plain instanceof KratosError.KratosError ? plain : ReplyError.ofUnary(this.status, this.contentType, plain)
  }
}

class StreamExchange extends Exchange {
  private readonly expected: string
  private readonly reader: EnvelopeReader
  private ahead: ReadAhead | undefined = undefined
  /** The last envelope; the end of the body follows it. */
  private last: EndStream.End | undefined = undefined

  constructor(receiver: Receiver, expected: string) {
    super(receiver)
    this.expected = expected
    this.reader = new EnvelopeReader(Math.max(receiver.maxMessageBytes, EndStream.MAX_BYTES))
  }

  onHeaders(headers: Headers, endStream: boolean): void {
    const contentType = headers.get("content-type") ?? ""
    if (headers.status !== 200) return this.finish(ReplyError.ofStatus(headers.status), undefined)
    if (!isType(contentType, this.expected)) return this.finish(ReplyError.wrongType(contentType), undefined)
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
    if (content.length > this.receiver.maxMessageBytes) return this.finish(ReplyError.tooLarge(this.receiver.maxMessageBytes), undefined)
    this.deliver(content, flags === 1, undefined)
  }

  private onEndStream(compressed: boolean, content: Uint8Array): void {
    const plain = compressed ? Compression.decompress("gzip", content, EndStream.MAX_BYTES) : content
    this.last = plain instanceof Uint8Array ? EndStream.decode(plain) : undefined
    if (this.last === undefined) this.finish(ReplyError.malformed("the last envelope cannot be decoded"), undefined)
  }
}

/** The media type of a reply, whatever its parameters; those of JSON are about its character set, which is always UTF-8. */
const isType = (contentType: string, expected: string): boolean =>
  contentType === expected || contentType.split(";", 1)[0]!.trim().toLowerCase() === expected
