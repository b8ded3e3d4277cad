/**
 * A call of a REST client to which it streams: a WebSocket on a connection of its own. It opens with the first message when the path or the query is made
 * of that, at once otherwise. The end of the requests is a control message; the server's close is the end of the call.
 */
import { create, type DescMethod, type Message } from "@bufbuild/protobuf"
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { WebSocket } from "ws"
import * as Codec from "../codec/Codec.ts"
import * as Codecs from "../codec/Codecs.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import * as HeaderFields from "../HeaderFields.ts"
import { complete } from "../Implementation.ts"
import type { Outgoing } from "../Outgoing.ts"
import { Attempts } from "./Attempts.ts"
import * as ErrorBody from "./ErrorBody.ts"
import * as HttpBodies from "./HttpBodies.ts"
import { lost, readBody } from "./HttpCall.ts"
import type { Nodes } from "./Nodes.ts"
import type { RequestPlan } from "./RequestPlan.ts"
import * as StreamCodec from "./StreamCodec.ts"
import * as WebSocketControl from "./WebSocketControl.ts"

/** Bytes of replies that may wait for whoever reads them. */
const WINDOW = 65_536
const OVERHEAD = 64
/** How long a handshake may take, in milliseconds. */
const HANDSHAKE = 20_000

export interface Options {
  readonly desc: DescMethod
  readonly plan: RequestPlan
  readonly nodes: Nodes
  readonly codec: Codec.Codec
  readonly maxMessageBytes: number
}

/** Makes a call; `fields` are those of the handshake. */
export const make = (options: Options): ((call: Outgoing, fields: Fields) => Effect.Effect<Message | void, unknown>) => {
  const { desc, plan } = options
  const frameField = plan.bodyField?.fieldKind === "message" ? plan.bodyField : undefined
  const write = StreamCodec.writer(frameField?.message ?? desc.input)
  const shared: Shared = {
    ...options,
    read: StreamCodec.reader(desc.output),
    binary: options.codec.binary === true || HttpBodies.is(frameField?.message ?? desc.input),
    // the rest of the message goes along with the path when a frame is but a part of it
    withQuery: frameField !== undefined,
    frame: (message) =>
      write(frameField === undefined ? message : (reflect(desc.input, message).get(frameField) as ReflectMessage).message, options.codec)
  }
  const atOnce = plan.template.variables.length === 0 && !shared.withQuery
  return (call, fields) =>
    Effect.suspend(() => {
      const conversation = new Conversation(shared, call, fields)
      // `Client` gives calls of these kinds their requests
      const requests = Stream.runForEachArray(call.requests!, (batch) => conversation.send(batch))
      const sending = Effect.andThen(atOnce ? Effect.andThen(conversation.open(undefined), requests) : requests, conversation.halfClose)
      // the caller's own failure is the call's, and the server hears of it as a close
      const ended = conversation.attempts.ensure(options.nodes.timers)(Deferred.await(conversation.ended))
      return Effect.raceFirst(ended, Effect.andThen(sending, Effect.never)).pipe(Effect.ensuring(Effect.sync(() => conversation.destroy())))
    })
}

type Fields = ReadonlyArray<readonly [string, string]>

interface Shared extends Options {
  readonly read: StreamCodec.Read
  readonly binary: boolean
  readonly withQuery: boolean
  readonly frame: (message: Message) => Uint8Array
}

class Conversation {
  readonly attempts: Attempts
  readonly ended = Deferred.makeUnsafe<Message | void, unknown>()
  private readonly shared: Shared
  private readonly call: Outgoing
  private readonly fields: Fields
  private readonly single: boolean
  private socket: WebSocket | undefined = undefined
  private duplex: Duplex | undefined = undefined
  /** What the path says of all messages. */
  private bound: ReadonlyArray<string> | undefined = undefined
  private reply: Message | undefined = undefined
  private surplus = false
  private waiting = 0
  private drained: (() => void) | undefined = undefined

  constructor(shared: Shared, call: Outgoing, fields: Fields) {
    this.shared = shared
    this.call = call
    this.attempts = new Attempts(call)
    this.fields = fields
    this.single = call.kind === "client_streaming"
  }

  // ---- the handshake

  /** Connects, with the path that a message gives. */
  open(first: Message | undefined): Effect.Effect<void, KratosError.KratosError> {
    const { desc, nodes, plan, withQuery } = this.shared
    const message = first ?? create(desc.input)
    return Effect.gen({ self: this }, function* () {
      const target = yield* Effect.fromResult(plan.target(message, withQuery))
      if (first !== undefined) this.bound = plan.variables(first)
      let failure: KratosError.KratosError | undefined
      for (const node of yield* nodes.pick(this.call)) {
        this.attempts.begin(node)
        const connected = yield* Effect.exit(node.connect)
        if (Exit.isFailure(connected)) {
          this.attempts.unprocessed()
          failure = KratosError.fromCause(connected.cause)
          continue
        }
        this.duplex = connected.value
        this.call.processed = true
        return yield* Effect.tapError(this.handshake(connected.value, node.authority, target), (error) =>
          Effect.sync(() => this.attempts.reply(error))
        )
      }
      return yield* Effect.fail(failure ?? KratosError.serviceUnavailable("NODE_NOT_FOUND", `no node of ${nodes.target} is available`))
    })
  }

  private handshake(duplex: Duplex, authority: string, target: string): Effect.Effect<void, KratosError.KratosError> {
    const { codec, maxMessageBytes } = this.shared
    return Effect.callback((resume) => {
      const headers: Record<string, Array<string>> = {}
      for (const [name, value] of [["accept", codec.contentType], ["content-type", codec.contentType], ...this.fields] as Fields)
        (headers[name] ??= []).push(value)
      const socket = new WebSocket(`ws://${authority}/`, {
        createConnection: () => duplex,
        // as it is: a URL would resolve dots in it
        finishRequest: (request) => {
          request.path = target
          request.end()
        },
        headers: headers as Record<string, never>, // lists do, whatever the types say
        handshakeTimeout: HANDSHAKE,
        maxPayload: maxMessageBytes,
        perMessageDeflate: false,
        skipUTF8Validation: true
      })
      this.socket = socket
      socket.once("upgrade", (response) => this.onHead(response))
      socket.once("open", () => resume(Effect.void))
      socket.once("unexpected-response", (_, response) => {
        this.onHead(response)
        resume(refused(response, maxMessageBytes))
      })
      socket.on("message", (data: Buffer, isBinary) => this.onMessage(data, isBinary))
      socket.on("error", (error) => {
        const failure = this.failureOf(error)
        this.finish(Exit.fail(failure))
        resume(Effect.fail(failure))
      })
      socket.once("close", (code, reason) => this.onClose(code, reason))
      duplex.on("drain", () => this.drained?.())
      this.call.replies.attach((bytes) => this.taken(bytes))
    })
  }

  private onHead(response: IncomingMessage): void {
    this.call.reply = HeaderFields.toMetadata(response.rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text)))
  }

  private failureOf(error: Error & { readonly code?: string }): KratosError.KratosError {
    if (error.code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH") return GrpcError.tooLarge(undefined, this.shared.maxMessageBytes)
    return error.code?.startsWith("WS_ERR") === true
      ? GrpcError.malformed(`the reply is not the WebSocket protocol: ${error.message}`)
      : lost(error)
  }

  // ---- requests

  send(batch: ReadonlyArray<object>, from = 0): Effect.Effect<void, KratosError.KratosError> {
    return Effect.suspend(() => {
      for (let i = from; i < batch.length; i++) {
        const message = this.message(batch[i]!)
        if (message instanceof KratosError.KratosError) return Effect.fail(message)
        const { duplex, socket } = this
        if (socket === undefined || duplex === undefined) return Effect.andThen(this.open(message), this.send(batch, i))
        const failure = this.check(message) ?? this.write(socket, message)
        if (failure !== undefined) return Effect.fail(failure)
        // the rest of a large batch waits unencoded
        if (duplex.writableNeedDrain) return Effect.andThen(this.drain(duplex), this.send(batch, i + 1))
      }
      return Effect.void
    })
  }

  private message(init: object): Message | KratosError.KratosError {
    try {
      return complete(this.shared.desc.input, init)
    } catch (cause) {
      return this.unfit(cause)
    }
  }

  private unfit(cause: unknown): KratosError.KratosError {
    return KratosError.badRequest(Codec.reason, `the request is not a valid ${this.shared.desc.input.typeName}`, { cause })
  }

  /** The path was made of the first message, and the server sets it on every one. */
  private check(message: Message): KratosError.KratosError | undefined {
    const { bound } = this
    const { plan } = this.shared
    if (bound === undefined) return undefined
    const values = plan.variables(message)
    const other = plan.template.variables.find((_, i) => values[i] !== bound[i])
    return other && KratosError.badRequest(Codec.reason, `"${other.name}" is in the path and must be the same in all messages of a stream`)
  }

  private write(socket: WebSocket, message: Message): KratosError.KratosError | undefined {
    // its close is on its way to be told
    if (socket.readyState !== WebSocket.OPEN) return undefined
    let bytes: Uint8Array
    try {
      bytes = this.shared.frame(message)
    } catch (cause) {
      return this.unfit(cause)
    }
    socket.send(bytes, { binary: this.shared.binary })
    this.call.wrote(bytes.length)
    return undefined
  }

  private drain(duplex: Duplex): Effect.Effect<void> {
    return Effect.callback((resume) => {
      // the fiber may have yielded since the socket was found full
      if (!duplex.writableNeedDrain) return resume(Effect.void)
      this.drained = () => {
        this.drained = undefined
        resume(Effect.void)
      }
    })
  }

  /** Says that there are no more requests. A stream without any opens now. */
  readonly halfClose: Effect.Effect<void, KratosError.KratosError> = Effect.suspend(() => {
    const opened = this.socket === undefined ? this.open(undefined) : Effect.void
    return Effect.andThen(
      opened,
      Effect.sync(() => {
        if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(WebSocketControl.end)
      })
    )
  })

  // ---- replies

  private onMessage(frame: Buffer, isBinary: boolean): void {
    const control = isBinary ? undefined : WebSocketControl.parse(frame)
    if (control !== undefined) {
      // the end is told by the close that follows
      if (control._tag === "Error") this.finish(Exit.fail(control.error))
      return
    }
    const message = this.shared.read(frame, this.shared.codec, undefined)
    if (Result.isFailure(message))
      return this.finish(Exit.fail(GrpcError.malformed(`a reply message cannot be decoded: ${message.failure.message}`)))
    if (this.single) {
      this.surplus = this.reply !== undefined
      this.reply = message.success
      return
    }
    if (!this.call.commit()) return
    const bytes = frame.length + OVERHEAD
    this.waiting += bytes
    this.call.replies.push(message.success)
    this.call.replies.received(bytes)
    if (this.waiting >= WINDOW) this.socket?.pause()
  }

  private taken(bytes: number): void {
    this.waiting -= bytes
    if (this.waiting < WINDOW && this.socket?.isPaused === true) this.socket.resume()
  }

  private onClose(code: number, reason: Buffer): void {
    if (code === 1000 || code === 1001) return this.finish(this.success())
    if (code === 1006) return this.finish(Exit.fail(lost()))
    if (code === 1009) return this.finish(Exit.fail(KratosError.make(413, "", "the server takes no message of this size")))
    this.finish(Exit.fail(WebSocketControl.parseError(reason.toString())))
  }

  private success(): Exit.Exit<Message | void, KratosError.KratosError> {
    if (!this.single) return Exit.void
    if (this.reply !== undefined && !this.surplus) return Exit.succeed(this.reply)
    return Exit.fail(GrpcError.cardinality(`${this.call.operation} replies with one message, got ${this.surplus ? "more" : "none"}`))
  }

  private finish(exit: Exit.Exit<Message | void, KratosError.KratosError>): void {
    Deferred.doneUnsafe(this.ended, exit)
  }

  /** Nothing more is wanted. A close handshake that is under way may end. */
  destroy(): void {
    const { duplex, socket } = this
    if (socket === undefined) duplex?.destroy()
    else if (socket.readyState === WebSocket.OPEN) socket.terminate()
    else if (socket.readyState === WebSocket.CONNECTING) duplex?.destroy()
  }
}

/** The error of a reply that is no handshake. */
const refused = (response: IncomingMessage, maxBytes: number): Effect.Effect<never, KratosError.KratosError> => {
  const reply = { status: response.statusCode ?? 0, contentType: response.headers["content-type"], body: response }
  return Effect.flatMap(readBody(reply, maxBytes), (body) => {
    if (reply.status < 300) return Effect.fail(GrpcError.malformed(`HTTP status ${reply.status} opens no WebSocket`))
    return Effect.fail(ErrorBody.decode(reply.status, reply.contentType, body, Codecs.standard))
  })
}
