/**
 * gRPC over HTTP/2, the server's side of a stream. What depends only on the header block (method, encoding, timeout) is worked out once per
 * block and kept in its memo; a unary call whose request lies in one DATA frame is decoded in place and answered with one `respond`.
 */
import type { Message } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Metadata from "@effect-kratos/core/Metadata"
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import type { Headers } from "@effect-kratos/http2/Headers"
import type { Stream as H2Stream, StreamListener } from "@effect-kratos/http2/Stream"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as MessageCodec from "../MessageCodec.ts"
import * as HeaderFields from "../HeaderFields.ts"
import * as MessageCompression from "../MessageCompression.ts"
import type { Reply } from "../Implementation.ts"
import { type Ended, Incoming, type Operation } from "../Operation.ts"
import { MessageQueue } from "../MessageQueue.ts"
import type { Origin } from "../Origin.ts"
import * as Slab from "../protobuf/Slab.ts"
import type { Writer } from "../protobuf/Writer.ts"
import { ReadAhead } from "../ReadAhead.ts"
import * as Compression from "./Compression.ts"
import * as GrpcError from "./GrpcError.ts"
import * as GrpcMessage from "./Message.ts"
import * as GrpcStatus from "./Status.ts"
import * as Timeout from "./Timeout.ts"

/** What the gRPC side of a server shares between its streams. */
export interface GrpcServer {
  readonly operation: (path: string) => Operation | undefined
  readonly codec: (
    operation: Operation,
    json: boolean
  ) => { readonly input: MessageCodec.MessageCodec; readonly output: MessageCodec.MessageCodec }
  readonly now: () => number
  /** Longest message that is accepted, in bytes, after decompression. */
  readonly maxMessageBytes: number
  /** Reports what the caller must not see. */
  readonly report: (message: string, cause: unknown) => void
}

/** What follows from a header block alone. */
export interface Plan {
  readonly server: GrpcServer
  readonly operation: Operation | undefined
  readonly error: KratosError.KratosError | undefined
  readonly encoding: Compression.Encoding | undefined
  readonly timeout: number | undefined
  readonly input: MessageCodec.MessageCodec
  readonly output: MessageCodec.MessageCodec
  readonly contentType: string
  readonly head: HeaderBlock
  readonly fields: ReadonlyArray<string>
}

type Fields = ReadonlyArray<readonly [string, string]>

const makeHead = (contentType: string, encoding: Compression.Encoding | undefined): HeaderBlock =>
  HeaderBlock.make([
    [":status", "200"],
    ["content-type", contentType],
    ...(encoding === undefined ? [] : [["grpc-encoding", encoding] as const])
  ])

const HEADS = new Map<string, HeaderBlock>()

/** One head for each content type and encoding, of which there are six. */
const headOf = (contentType: string, encoding: Compression.Encoding | undefined): HeaderBlock => {
  const key = `${contentType} ${encoding}`
  let head = HEADS.get(key)
  if (head === undefined) HEADS.set(key, (head = makeHead(contentType, encoding)))
  return head
}

const PROTO_HEAD = makeHead("application/grpc", undefined)
const OK = HeaderBlock.make([["grpc-status", "0"]])
const EMPTY = new Uint8Array(0)
/** Bytes at which collected messages leave: the payload of one frame, as every peer takes it. */
const FRAME = 16_384

/** True for a content type that is gRPC's, not gRPC-Web's. */
export const isGrpc = (contentType: string | undefined): boolean =>
  contentType !== undefined &&
  contentType.startsWith("application/grpc") &&
  (contentType.length === 16 || contentType[16] === "+" || contentType[16] === ";")

/** Takes a stream whose content type is gRPC's. */
export const accept = (server: GrpcServer, stream: H2Stream, headers: Headers, endStream: boolean, origin: Origin): StreamListener => {
  let plan = headers.memo as Plan | undefined // only this module and its siblings write memos, per protocol
  if (plan === undefined || plan.server !== server) headers.memo = plan = makePlan(server, headers)
  if (plan.operation === undefined) {
    stream.headers(errorBlock(plan, plan.error!), true)
    return ignore
  }
  const exchange = new Exchange(stream, plan, plan.operation, origin)
  stream.listener = exchange
  exchange.begin(endStream)
  return exchange
}

const makePlan = (server: GrpcServer, headers: Headers): Plan => {
  const contentType = headers.get("content-type") ?? ""
  const format = contentType.slice(16).split(";")[0]!
  const json = format === "+json"
  const operation = server.operation(headers.path)
  const encoding = Compression.parse(headers.get("grpc-encoding"))
  const header = headers.get("grpc-timeout")
  const timeout = header === undefined ? undefined : Timeout.parse(header)
  const error =
    headers.method !== "POST" || !(format === "" || format === "+proto" || json)
      ? GrpcError.malformed(`${headers.method} with content-type ${contentType.slice(0, 64)} is not a gRPC request`)
      : operation === undefined
        ? GrpcError.unknownMethod(headers.path)
        : header !== undefined && timeout === undefined
          ? GrpcError.malformed("grpc-timeout is malformed")
          : encoding instanceof KratosError.KratosError
            ? encoding
            : undefined
  const known = error === undefined ? operation : undefined
  const encodingOf = encoding instanceof KratosError.KratosError ? undefined : encoding
  const codecs = known === undefined ? undefined : server.codec(known, json)
  return {
    server,
    operation: known,
    error,
    encoding: encodingOf,
    timeout,
    // a plan without an operation decodes nothing
    input: codecs?.input as MessageCodec.MessageCodec,
    output: codecs?.output as MessageCodec.MessageCodec,
    contentType: json ? "application/grpc+json" : "application/grpc",
    head: !json && encodingOf === undefined ? PROTO_HEAD : headOf(json ? "application/grpc+json" : "application/grpc", encodingOf),
    fields: headers.fields
  }
}

const errorBlock = (plan: Plan, error: KratosError.KratosError, more: Fields = []): HeaderBlock =>
  more.length === 0 ? commonBlock(plan, error) : makeErrorBlock(plan, error, more, false)

/** Blocks of errors that were seen before: one refusal serves any number of calls, and costs most where there is no time. */
const BLOCKS = new WeakMap<KratosError.KratosError, Map<string, HeaderBlock> | "once">()

const commonBlock = (plan: Plan, error: KratosError.KratosError): HeaderBlock => {
  const known = BLOCKS.get(error)
  if (known === undefined) {
    BLOCKS.set(error, "once")
    return makeErrorBlock(plan, error, [], false)
  }
  const key = plan.operation === undefined ? `? ${plan.contentType}` : plan.contentType
  const blocks = known === "once" ? new Map<string, HeaderBlock>() : known
  let block = blocks.get(key)
  if (block === undefined) {
    blocks.set(key, (block = makeErrorBlock(plan, error, [], true)))
    BLOCKS.set(error, blocks)
  }
  return block
}

const makeErrorBlock = (plan: Plan, error: KratosError.KratosError, more: Fields, reuse: boolean): HeaderBlock =>
  HeaderBlock.make(
    [
      [":status", "200"],
      ["content-type", plan.contentType],
      ...(plan.operation === undefined ? [["grpc-accept-encoding", Compression.ACCEPTED] as const] : []),
      ...more,
      ...GrpcStatus.toFields(error)
    ],
    { reuse }
  )

const ignore: StreamListener = { onData: () => {}, onTrailers: () => {}, onAbort: () => {} }

/** One gRPC call on its stream. */
class Exchange implements StreamListener {
  private readonly stream: H2Stream
  private readonly plan: Plan
  private readonly operation: Operation
  private readonly call: Incoming
  private reader: GrpcMessage.Reader | undefined = undefined
  private requests: MessageQueue<Message, KratosError.KratosError> | undefined = undefined
  private ahead: ReadAhead | undefined = undefined
  private message: Message | undefined = undefined
  private started = false
  private headSent = false
  /** Of the replies; known when their head is made. */
  private encoding: Compression.Encoding | undefined = undefined
  private cancel: (() => void) | undefined = undefined
  private full = false
  private drained: (() => void) | undefined = undefined

  constructor(stream: H2Stream, plan: Plan, operation: Operation, origin: Origin) {
    this.stream = stream
    this.plan = plan
    this.operation = operation
    const deadline = plan.timeout === undefined ? undefined : plan.server.now() + plan.timeout
    this.call = new Incoming("grpc", operation, origin, deadline, () => HeaderFields.toMetadata(plan.fields))
    if (origin.requestId !== undefined) Metadata.set(this.call.reply, origin.requestId.header, origin.requestId.value)
    const kind = operation.method.kind
    if (kind === "server_streaming" || kind === "bidi_streaming") this.call.sink = this
  }

  /** Called once the exchange listens to its stream: a handler may write before a message has come. */
  begin(endStream: boolean): void {
    const kind = this.operation.method.kind
    if (kind === "client_streaming" || kind === "bidi_streaming") this.startStreaming(endStream)
    else if (endStream) this.onUnaryData(EMPTY, true)
  }

  onData(data: Uint8Array, endStream: boolean): void {
    if (this.ahead === undefined) return this.onUnaryData(data, endStream)
    this.ahead.push(data)
    if (endStream) this.ahead.end(() => this.endRequests())
  }

  onTrailers(): void {
    this.onData(EMPTY, true)
  }

  onAbort(): void {
    // first: a handler that waits for a request or for the wire is interrupted there, and sees no failure
    this.cancel?.()
    this.requests?.end(Exit.fail(GrpcError.cancelled("the client cancelled the call")))
    this.drained?.()
  }

  onDrain(): void {
    this.full = false
    this.drained?.()
  }

  // ---- one request message

  private onUnaryData(data: Uint8Array, endStream: boolean): void {
    if (this.started) return
    const error = this.isWhole(data, endStream) ? this.decode(data.subarray(GrpcMessage.PREFIX), false) : this.read(data)
    if (data.length > 0 && !endStream) this.stream.consumed(data.length)
    if (error !== undefined) this.start(error)
    else if (endStream) this.start(this.missing())
  }

  /** The usual case: one uncompressed message, whole, in one frame. */
  private isWhole(data: Uint8Array, endStream: boolean): boolean {
    return (
      endStream &&
      this.reader === undefined &&
      data.length >= GrpcMessage.PREFIX &&
      data.length <= this.plan.server.maxMessageBytes &&
      data[0] === 0 &&
      GrpcMessage.lengthAt(data, 0) === data.length - GrpcMessage.PREFIX
    )
  }

  private read(data: Uint8Array): KratosError.KratosError | undefined {
    this.reader ??= new GrpcMessage.Reader(this.plan.server.maxMessageBytes, this.plan.encoding)
    let failed: KratosError.KratosError | undefined
    return (
      this.reader.push(data, (bytes, compressed, owned) => {
        failed ??= this.decode(bytes, owned)
        if (compressed && this.message !== undefined) MessageCompression.received(this.message)
      }) ?? failed
    )
  }

  private decode(bytes: Uint8Array, owned: boolean): KratosError.KratosError | undefined {
    if (this.message !== undefined) return GrpcError.cardinality(`${this.operation.method.operation} takes one message, got more`)
    const message = this.plan.input.decode(bytes, owned)
    if (message === undefined) return GrpcError.undecodable(this.operation.desc.input.typeName)
    this.message = message
    return undefined
  }

  private missing(): KratosError.KratosError | undefined {
    if (this.reader?.idle === false) return GrpcError.malformed("the request ended inside a message")
    return this.message === undefined ? GrpcError.cardinality(`${this.operation.method.operation} takes one message, got none`) : undefined
  }

  private start(error: KratosError.KratosError | undefined): void {
    this.started = true
    this.call.message = this.message
    this.call.failure = error
    this.cancel = this.operation.run(this.call, (exit) => this.end(exit))
  }

  // ---- a stream of request messages

  private startStreaming(endStream: boolean): void {
    this.started = true
    this.reader = new GrpcMessage.Reader(this.plan.server.maxMessageBytes, this.plan.encoding)
    const requests = new MessageQueue<Message, KratosError.KratosError>()
    const ahead = new ReadAhead(requests, (part) => this.readRequests(part, requests), this.plan.encoding !== undefined)
    requests.attach((bytes) => this.stream.consumed(bytes))
    requests.onEmptied = () => ahead.resume()
    this.requests = requests
    this.ahead = ahead
    this.call.requests = requests.stream
    if (endStream) requests.end(Exit.void)
    this.cancel = this.operation.run(this.call, (exit) => this.end(exit))
  }

  private readRequests(part: Uint8Array, requests: MessageQueue<Message, KratosError.KratosError>): boolean {
    const { input } = this.plan
    let failed: KratosError.KratosError | undefined
    const read: GrpcMessage.Emit = (bytes, compressed, owned) => {
      const message = failed === undefined ? input.decode(bytes, owned) : undefined
      if (compressed && message !== undefined) MessageCompression.received(message)
      if (message === undefined) failed ??= GrpcError.undecodable(this.operation.desc.input.typeName)
      else requests.push(message, bytes.length)
    }
    // one copy for all messages of a part is cheaper than one for each field
    const error =
      (input.keepsBytes ? this.reader!.push(Slab.copy(part, 0, part.length), read, true) : this.reader!.push(part, read)) ?? failed
    if (error !== undefined) requests.end(Exit.fail(error))
    return error === undefined
  }

  private endRequests(): void {
    this.requests!.end(this.reader!.idle ? Exit.void : Exit.fail(GrpcError.malformed("the request ended inside a message")))
  }

  // ---- replies

  /** Sink of the streaming kinds. */
  write = (replies: ReadonlyArray<Reply>, from = 0): Effect.Effect<void, KratosError.KratosError> =>
    Effect.suspend(() => {
      if (this.stream.closed) return Effect.interrupt
      if (!this.headSent) {
        this.encoding = this.replyEncoding()
        const head = this.head()
        if (head instanceof KratosError.KratosError) return Effect.fail(head)
        this.headSent = true
        this.stream.headers(head, false)
      }
      const taken = this.send(replies, from)
      // the rest of a large batch waits unencoded
      return this.full ? Effect.andThen(this.drain, taken < replies.length ? this.write(replies, taken) : Effect.void) : Effect.void
    })

  /** Writes until the stream is full or all is written, many short messages to a frame; returns how many replies it has taken. */
  private send(replies: ReadonlyArray<Reply>, from: number): number {
    const { stream } = this
    let writer = MessageCodec.borrow()
    let next = from
    try {
      while (next < replies.length) {
        if (!stream.isReady()) {
          this.full = true
          break
        }
        let whole: number
        do {
          whole = writer.position
          this.append(writer, replies[next++]!)
        } while (writer.position < FRAME && next < replies.length)
        // a message that would be cut begins the next frame
        const end = writer.position <= FRAME || whole === 0 ? writer.position : whole
        const isLarge = end >= MessageCodec.LARGE // and alone: the next one has not been encoded
        if (!stream.data(writer.view(0, end), false, !isLarge)) this.full = true
        if (isLarge) writer = MessageCodec.borrow()
        else writer.drop(end)
      }
    } finally {
      // also when a reply cannot be encoded: those before it were promised
      if (writer.position > 0 && !stream.data(writer.view(0), false, true)) this.full = true
      MessageCodec.giveBack(writer)
    }
    return next
  }

  private readonly drain: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.stream.closed) return resume(Effect.interrupt)
    // the fiber may have yielded since the stream was found full
    if (!this.full) return resume(Effect.void)
    this.drained = () => {
      this.drained = undefined
      resume(Effect.void)
    }
  })

  private append(writer: Writer, reply: Reply): void {
    if (this.encoding === undefined || MessageCompression.isPlain(reply)) this.plan.output.appendFramed(writer, reply)
    else writer.append(GrpcMessage.frame(this.plan.output.encode(reply), this.encoding))
  }

  /** In kind, unless the handler asks for more. */
  private replyEncoding(): Compression.Encoding | undefined {
    const { encoding, fields } = this.plan
    if (encoding !== undefined || !this.call.compressReplies) return encoding
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === "grpc-accept-encoding") return Compression.accepted(fields[i + 1])
    return undefined
  }

  /** The head of the reply, with the metadata that the handler has set. */
  private head(): HeaderBlock | KratosError.KratosError {
    const metadata = this.call.replyIfAny
    const head = this.encoding === this.plan.encoding ? this.plan.head : headOf(this.plan.contentType, this.encoding)
    if (metadata === undefined || metadata.size === 0) return head
    const fields = HeaderFields.fromMetadata(metadata)
    if (fields instanceof KratosError.KratosError) return fields
    return head.extend(fields)
  }

  private trailers(): Fields | KratosError.KratosError {
    const metadata = this.call.trailersIfAny
    return metadata === undefined || metadata.size === 0 ? [] : HeaderFields.fromMetadata(metadata)
  }

  private end(exit: Ended): void {
    this.cancel = undefined
    if (this.stream.closed) return
    this.requests?.close()
    if (Exit.isFailure(exit)) return this.fail(KratosError.fromCause(exit.cause))
    const trailers = this.trailers()
    if (trailers instanceof KratosError.KratosError) return this.fail(trailers)
    const last = trailers.length === 0 ? OK : OK.extend(trailers)
    if (this.headSent) return this.stream.trailers(last)
    this.encoding = this.replyEncoding()
    const head = this.head()
    if (head instanceof KratosError.KratosError) return this.fail(head)
    if (this.call.sink !== undefined) {
      // a stream without a message
      this.stream.headers(head, false)
      return this.stream.trailers(last)
    }
    const writer = MessageCodec.borrow()
    try {
      this.append(writer, exit.value as Reply) // these kinds end with a reply
    } catch (cause) {
      MessageCodec.giveBack(writer)
      this.plan.server.report(`${this.operation.method.operation}: the reply cannot be encoded`, cause)
      return this.fail(KratosError.internalServer("", "internal error"))
    }
    const isLarge = writer.position >= MessageCodec.LARGE
    this.stream.respond(head, writer.view(0), last, !isLarge)
    if (!isLarge) MessageCodec.giveBack(writer)
  }

  private fail(error: KratosError.KratosError): void {
    const own = this.trailers()
    const trailers = own instanceof KratosError.KratosError ? [] : own
    this.encoding = this.plan.encoding // no message follows
    const head = this.headSent ? undefined : this.head()
    // a head of its own only for metadata: clients take all of a reply of one block for trailers
    if (!this.headSent && (head === this.plan.head || head instanceof KratosError.KratosError)) {
      return this.stream.headers(errorBlock(this.plan, error, trailers), true)
    }
    if (head instanceof HeaderBlock) this.stream.headers(head, false)
    this.stream.trailers(HeaderBlock.make([...trailers, ...GrpcStatus.toFields(error)], { reuse: false }))
  }
}
