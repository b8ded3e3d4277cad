/**
 * A call whose messages travel in envelopes (flags, length, bytes) over any version of HTTP and whose end is an envelope too: what gRPC-Web and the
 * streams of Connect have in common. A `Dialect` says where they differ.
 */
import type { Message } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Encoding } from "../grpc/Compression.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import * as GrpcMessage from "../grpc/Message.ts"
import * as HeaderFields from "../HeaderFields.ts"
import type { Reply } from "../Implementation.ts"
import * as MessageCodec from "../MessageCodec.ts"
import { MessageQueue } from "../MessageQueue.ts"
import { type Ended, Incoming, type Operation } from "../Operation.ts"
import { ReadAhead } from "../ReadAhead.ts"
import { WORTHWHILE } from "./AcceptEncoding.ts"
import type { HttpExchange } from "./HttpExchange.ts"

export type Fields = ReadonlyArray<readonly [string, string]>

/** How a protocol writes what the envelopes leave open. */
export interface Dialect {
  readonly transport: string
  readonly input: MessageCodec.MessageCodec
  readonly output: MessageCodec.MessageCodec
  /** The head of every reply, less the handler's metadata. */
  readonly head: Fields
  readonly requestEncoding: Encoding | undefined
  readonly replyEncoding: Encoding | undefined
  /** The metadata of the request's head. */
  readonly metadata: (fields: ReadonlyArray<string>) => ReturnType<typeof HeaderFields.toMetadata>
  /** A message that the codec cannot read. */
  readonly undecodable: (typeName: string) => KratosError.KratosError
  /** The last envelope. */
  readonly end: (error: KratosError.KratosError | undefined, trailers: Fields) => Uint8Array
  /** The head of a reply that fails before its first message, where the protocol then puts everything into the head. */
  readonly failedHead: ((error: KratosError.KratosError, trailers: Fields) => Fields) | undefined
  /** Undoes and does what is around the envelopes: base64. An error when the bytes are not that; `end` asks whether they may end here. */
  readonly text: Text | undefined
}

export interface Text {
  readonly decode: (chunk: Uint8Array) => Uint8Array | KratosError.KratosError
  readonly end: () => KratosError.KratosError | undefined
  readonly encode: (chunk: Uint8Array) => Uint8Array
}

export interface Options {
  /** Longest request message, in bytes, after decompression. */
  readonly maxMessageBytes: number
  /** When the call must be over, in milliseconds since the epoch. */
  readonly deadline: number | undefined
  /** What is wrong with the head: the call fails with it inside the aspects. */
  readonly failure: KratosError.KratosError | undefined
  /** Reports what the caller must not see. */
  readonly report: (message: string, cause: unknown) => void
}

/** Serves a call on an exchange whose body has not been read. */
export const serve = (exchange: HttpExchange, operation: Operation, dialect: Dialect, options: Options): void =>
  new EnvelopedCall(exchange, operation, dialect, options).begin()

class EnvelopedCall {
  private readonly exchange: HttpExchange
  private readonly operation: Operation
  private readonly dialect: Dialect
  private readonly options: Options
  private readonly call: Incoming
  private readonly reader: GrpcMessage.Reader
  private readonly requests: MessageQueue<Message, KratosError.KratosError> | undefined
  private ahead: ReadAhead | undefined = undefined
  private message: Message | undefined = undefined
  private started = false
  private headSent = false
  private gone = false
  private full = false
  private cancel: (() => void) | undefined = undefined
  private drained: (() => void) | undefined = undefined

  constructor(exchange: HttpExchange, operation: Operation, dialect: Dialect, options: Options) {
    this.exchange = exchange
    this.operation = operation
    this.dialect = dialect
    this.options = options
    this.reader = new GrpcMessage.Reader(options.maxMessageBytes, dialect.requestEncoding)
    this.call = new Incoming(dialect.transport, operation, exchange.origin, options.deadline, () => dialect.metadata(exchange.fields))
    const kind = operation.method.kind
    if (kind === "server_streaming" || kind === "bidi_streaming") this.call.sink = this
    if (kind === "client_streaming" || kind === "bidi_streaming") this.requests = new MessageQueue()
  }

  begin(): void {
    this.exchange.whenAborted(() => this.abort())
    this.exchange.whenDrained(() => {
      this.full = false
      this.drained?.()
    })
    if (this.options.failure !== undefined) return this.start(this.options.failure)
    const { requests } = this
    if (requests !== undefined) {
      const ahead = new ReadAhead(requests, (part) => this.readRequests(part, requests), this.dialect.requestEncoding !== undefined)
      requests.attach((bytes) => this.exchange.consumed(bytes))
      requests.onEmptied = () => ahead.resume()
      this.ahead = ahead
      this.call.requests = requests.stream
      this.start(undefined)
    }
    this.exchange.readStream({ onData: (chunk) => this.onData(chunk), onEnd: () => this.onEnd() })
  }

  private start(failure: KratosError.KratosError | undefined): void {
    this.started = true
    this.call.message = this.message
    this.call.failure = failure
    this.cancel = this.operation.run(this.call, (exit) => this.end(exit))
  }

  private abort(): void {
    this.gone = true
    // first: a handler that waits for a request or for the wire is interrupted there, and sees no failure
    this.cancel?.()
    this.requests?.end(Exit.fail(GrpcError.cancelled("the client cancelled the call")))
    this.drained?.()
  }

  // ---- requests

  private onData(chunk: Uint8Array): void {
    if (this.ahead !== undefined) return this.ahead.push(chunk)
    const error = this.started ? undefined : this.read(chunk)
    this.exchange.consumed(chunk.length)
    if (error !== undefined) this.start(error)
  }

  private readRequests(part: Uint8Array, requests: MessageQueue<Message, KratosError.KratosError>): boolean {
    const error = this.read(part)
    if (error !== undefined) requests.end(Exit.fail(error))
    return error === undefined
  }

  private read(chunk: Uint8Array): KratosError.KratosError | undefined {
    const bytes = this.dialect.text === undefined ? chunk : this.dialect.text.decode(chunk)
    if (bytes instanceof KratosError.KratosError) return bytes
    let failed: KratosError.KratosError | undefined
    return this.reader.push(bytes, (message) => (failed ??= this.decode(message))) ?? failed
  }

  private decode(bytes: Uint8Array): KratosError.KratosError | undefined {
    if (this.message !== undefined) return GrpcError.cardinality(`${this.operation.method.operation} takes one message, got more`)
    const message = this.dialect.input.decode(bytes)
    if (message === undefined) return this.dialect.undecodable(this.operation.desc.input.typeName)
    if (this.requests === undefined) this.message = message
    else this.requests.push(message, bytes.length)
    return undefined
  }

  private onEnd(): void {
    if (this.ahead === undefined) this.complete()
    else this.ahead.end(() => this.complete())
  }

  private complete(): void {
    const error = this.dialect.text?.end() ?? (this.reader.idle ? undefined : GrpcError.malformed("the request ended inside a message"))
    if (this.requests !== undefined) this.requests.end(error === undefined ? Exit.void : Exit.fail(error))
    else if (!this.started) this.start(error ?? this.missing())
  }

  private missing(): KratosError.KratosError | undefined {
    return this.message === undefined ? GrpcError.cardinality(`${this.operation.method.operation} takes one message, got none`) : undefined
  }

  // ---- replies

  /** Sink of the streaming kinds. */
  readonly write = (replies: ReadonlyArray<Reply>, from = 0): Effect.Effect<void, KratosError.KratosError> =>
    Effect.suspend(() => {
      if (this.gone) return Effect.interrupt
      if (!this.headSent) {
        const head = this.head()
        if (head instanceof KratosError.KratosError) return Effect.fail(head)
        this.headSent = true
        this.exchange.start(200, head)
      }
      for (let i = from; i < replies.length; i++) {
        if (this.exchange.write(this.wrap(this.encode(replies[i]!)))) continue
        // the rest of a large batch waits unencoded
        this.full = true
        return Effect.andThen(this.drain, this.write(replies, i + 1))
      }
      return Effect.void
    })

  private readonly drain: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.gone) return resume(Effect.interrupt)
    // the fiber may have yielded since the exchange was found full
    if (!this.full) return resume(Effect.void)
    this.drained = () => {
      this.drained = undefined
      resume(Effect.void)
    }
  })

  private encode(reply: Reply): Uint8Array {
    const { output, replyEncoding } = this.dialect
    const framed = MessageCodec.encodeFramed(output, reply)
    return replyEncoding === undefined || framed.length < WORTHWHILE
      ? framed
      : GrpcMessage.frame(framed.subarray(GrpcMessage.PREFIX), replyEncoding)
  }

  private wrap(bytes: Uint8Array): Uint8Array {
    return this.dialect.text === undefined ? bytes : this.dialect.text.encode(bytes)
  }

  /** The head of the reply, with the metadata that the handler has set. */
  private head(): Fields | KratosError.KratosError {
    const metadata = this.call.replyIfAny
    if (metadata === undefined || metadata.size === 0) return this.dialect.head
    const fields = HeaderFields.fromMetadata(metadata)
    return fields instanceof KratosError.KratosError ? fields : [...this.dialect.head, ...fields]
  }

  private trailers(): Fields | KratosError.KratosError {
    const metadata = this.call.trailersIfAny
    return metadata === undefined || metadata.size === 0 ? [] : HeaderFields.fromMetadata(metadata)
  }

  private end(exit: Ended): void {
    this.cancel = undefined
    if (this.gone) return
    this.requests?.close()
    if (Exit.isFailure(exit)) return this.fail(KratosError.fromCause(exit.cause))
    const trailers = this.trailers()
    if (trailers instanceof KratosError.KratosError) return this.fail(trailers)
    if (this.headSent) return this.exchange.finish(this.wrap(this.dialect.end(undefined, trailers)))
    const head = this.head()
    if (head instanceof KratosError.KratosError) return this.fail(head)
    const last = this.dialect.end(undefined, trailers)
    // a stream without a message
    if (this.call.sink !== undefined) return this.exchange.respond(200, head, this.wrap(last))
    let body: Uint8Array
    try {
      body = this.encode(exit.value as Reply) // these kinds end with a reply
    } catch (cause) {
      this.options.report(`${this.operation.method.operation}: the reply cannot be encoded`, cause)
      return this.fail(KratosError.internalServer("", "internal error"))
    }
    this.exchange.respond(200, head, this.wrap(Buffer.concat([body, last])))
  }

  private fail(error: KratosError.KratosError): void {
    const own = this.trailers()
    const trailers = own instanceof KratosError.KratosError ? [] : own
    if (this.headSent) return this.exchange.finish(this.wrap(this.dialect.end(error, trailers)))
    const head = this.head()
    const fields = head instanceof KratosError.KratosError ? this.dialect.head : head
    // a head of its own for metadata: clients take all of a reply of one head for trailers
    const whole = fields === this.dialect.head ? this.dialect.failedHead?.(error, trailers) : undefined
    if (whole === undefined) this.exchange.respond(200, fields, this.wrap(this.dialect.end(error, trailers)))
    else this.exchange.respond(200, [...fields, ...whole], NOTHING)
  }
}

const NOTHING = new Uint8Array(0)
