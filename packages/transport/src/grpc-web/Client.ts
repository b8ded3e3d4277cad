/** gRPC-Web in its binary form, the client's side (github.com/grpc/grpc, doc/PROTOCOL-WEB.md): gRPC whose trailers are the end of the body. */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import type { MutableMetadata } from "@effect-kratos/core/Metadata"
import type { Headers } from "@effect-kratos/http2/Headers"
import type { ClientProtocol, MethodOptions, Receiver } from "../ClientProtocol.ts"
import { ClientReply } from "../ClientReply.ts"
import { EnvelopeReader } from "../connect/EnvelopeReader.ts"
import { encoder } from "../grpc/Client.ts"
import * as Compression from "../grpc/Compression.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import * as GrpcStatus from "../grpc/Status.ts"
import * as Timeout from "../grpc/Timeout.ts"
import * as HeaderFields from "../HeaderFields.ts"
import type { ReadAhead } from "../ReadAhead.ts"
import * as Trailers from "./Trailers.ts"

/** gRPC-Web for messages of one method. */
export const protocol = ({ compression, format, input }: MethodOptions): ClientProtocol => ({
  name: "grpc-web",
  head: [
    ["content-type", `application/grpc-web+${format}`],
    ["x-grpc-web", "1"],
    ["user-agent", "grpc-web-effect-kratos"],
    ["grpc-accept-encoding", Compression.ACCEPTED],
    ...(compression === undefined ? [] : [["grpc-encoding", compression] as const])
  ],
  timeout: (milliseconds) => ["grpc-timeout", Timeout.format(milliseconds)],
  encode: encoder(input, compression),
  exchange: (receiver) => new Exchange(receiver)
})

class Exchange extends ClientReply {
  private readonly reader: EnvelopeReader
  private ahead: ReadAhead | undefined = undefined
  private encoding: Compression.Encoding | undefined = undefined
  /** The status of a reply that failed before its first message is in its head. */
  private head: MutableMetadata | undefined = undefined
  /** The last envelope; the end of the body follows it. */
  private last: MutableMetadata | undefined = undefined

  constructor(receiver: Receiver) {
    super(receiver)
    this.reader = new EnvelopeReader(Math.max(receiver.maxMessageBytes, Trailers.MAX_BYTES))
  }

  onHeaders(headers: Headers, endStream: boolean): void {
    const error = this.check(headers)
    if (error !== undefined) return this.finish(error, undefined)
    this.ahead = this.receiver.readAhead((part) => this.read(part), this.encoding !== undefined)
    if (headers.get("grpc-status") !== undefined) this.head = HeaderFields.toTrailers(headers.fields)
    else this.receiver.onHeader(HeaderFields.toMetadata(headers.fields))
    if (endStream) this.onTrailers()
  }

  private check(headers: Headers): KratosError | undefined {
    if (headers.status !== 200) return GrpcStatus.fromHttpStatus(headers.status)
    const contentType = headers.get("content-type") ?? ""
    if (!/^application\/grpc-web(?:$|[+;])/.test(contentType)) return GrpcError.notGrpc(contentType)
    const encoding = Compression.parse(headers.get("grpc-encoding"))
    if (typeof encoding === "object") return GrpcError.malformed(`the reply: ${encoding.message}`)
    this.encoding = encoding
    return undefined
  }

  onData(data: Uint8Array, endStream: boolean): void {
    if (this.ended) return
    if (this.ahead === undefined) {
      this.read(data)
      this.receiver.onBytes(data.length)
    } else this.ahead.push(data)
    if (endStream) this.onTrailers()
  }

  /** The messages in a part; false when it holds none that can be read, and the call has failed. */
  private read(part: Uint8Array): boolean {
    if (this.ended) return false
    const over = this.reader.push(part, (flags, content) => this.onEnvelope(flags, content))
    if (over !== undefined) this.finish(GrpcError.tooLarge(over, this.receiver.maxMessageBytes), undefined)
    return !this.ended
  }

  /** The end; HTTP may have trailers, but the protocol has its own. */
  onTrailers(): void {
    if (this.ahead === undefined) this.end()
    else this.ahead.end(() => this.end())
  }

  override onAbort(code: number, processed: boolean): void {
    if (this.last !== undefined) this.onTrailers()
    else super.onAbort(code, processed)
  }

  private onEnvelope(flags: number, content: Uint8Array): void {
    if (this.ended) return
    if (this.last !== undefined) return this.finish(GrpcError.malformed("the reply goes on behind its trailers"), undefined)
    const isTrailers = (flags & Trailers.FLAG) !== 0
    const limit = isTrailers ? Trailers.MAX_BYTES : this.receiver.maxMessageBytes
    if (content.length > limit) return this.finish(GrpcError.tooLarge(content.length, limit), undefined)
    const plain = this.plain(flags & ~Trailers.FLAG, content, limit)
    if (!(plain instanceof Uint8Array)) return this.finish(plain, undefined)
    if (isTrailers) {
      this.last = Trailers.decode(plain)
      return
    }
    const message = this.receiver.output.decode(plain)
    if (message === undefined) this.finish(GrpcError.malformed("a reply message cannot be decoded"), undefined)
    else this.receiver.onMessage(message, plain.length)
  }

  private plain(flags: number, content: Uint8Array, limit: number): Uint8Array | KratosError {
    if (flags === 0) return content
    if (flags !== 1) return GrpcError.malformed(`message flags ${flags} are not defined`)
    return this.encoding === undefined
      ? GrpcError.malformed("a message is compressed but grpc-encoding is identity")
      : Compression.decompress(this.encoding, content, limit)
  }

  private end(): void {
    const trailers = this.last ?? this.head
    if (trailers === undefined) this.finish(GrpcError.malformed("the reply ended without trailers"), undefined)
    else if (!this.reader.idle) this.finish(GrpcError.malformed("the reply ended inside a message"), undefined)
    else this.finish(GrpcStatus.fromMetadata(trailers), trailers)
  }
}
