/**
 * gRPC over HTTP/2, the client's side: one exchange on a connection. It opens the stream, feeds it, reads the reply and says how it ended;
 * waiting, deadlines and retries of streams that the server never saw belong to the caller in `Client.ts`.
 */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import type { MutableMetadata } from "@effect-kratos/core/Metadata"
import type { Headers } from "@effect-kratos/http2/Headers"
import type { ClientProtocol, MethodOptions } from "../ClientProtocol.ts"
import { ClientReply } from "../ClientReply.ts"
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
export const protocol = ({ compression, format, input }: MethodOptions): ClientProtocol => ({
  name: "grpc",
  head: [
    ["content-type", format === "proto" ? "application/grpc" : `application/grpc+${format}`],
    ["te", "trailers"],
    ["user-agent", "grpc-effect-kratos"],
    ["grpc-accept-encoding", Compression.ACCEPTED],
    ...(compression === undefined ? [] : [["grpc-encoding", compression] as const])
  ],
  timeout: (milliseconds) => ["grpc-timeout", Timeout.format(milliseconds)],
  encode: encoder(input, compression),
  exchange: (receiver) => new Exchange(receiver)
})

/** Messages behind their prefix, compressed but for those that are to stay as they are. */
export const encoder = (
  input: MessageCodec.MessageCodec,
  compression: Compression.Encoding | undefined
): ((message: object) => Uint8Array) =>
  compression === undefined
    ? (message) => MessageCodec.encodeFramed(input, message)
    : (message) =>
        MessageCompression.isPlain(message)
          ? MessageCodec.encodeFramed(input, message)
          : GrpcMessage.frame(input.encode(message), compression)

class Exchange extends ClientReply {
  private reader: GrpcMessage.Reader | undefined = undefined
  private ahead: ReadAhead | undefined = undefined

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

  private end(trailers: MutableMetadata): void {
    this.finish(GrpcStatus.fromMetadata(trailers), trailers)
  }
}
