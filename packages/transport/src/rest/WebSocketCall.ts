/**
 * Calls to which the client streams, on a WebSocket: one frame a message, control messages for half-closes and errors (`WebSocketControl`). The server
 * closes with 1000 when the call has succeeded, with 1011 behind an error message when it has failed. A client that closes, breaks the protocol or no
 * longer answers pings interrupts the handler; a slow handler pauses the socket, a slow client makes the handler wait.
 */
import type { Message } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { Duplex } from "node:stream"
import { WebSocket, WebSocketServer } from "ws"
import * as Codec from "../codec/Codec.ts"
import type { DeadlineTimers, Timer } from "../DeadlineTimers.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import type { NodeExchange } from "../http/Http1.ts"
import { isGoingAway } from "../InFlight.ts"
import * as HttpError from "../http/HttpError.ts"
import type { Reply } from "../Implementation.ts"
import { MessageQueue } from "../MessageQueue.ts"
import type { Ended, Incoming, Operation } from "../Operation.ts"
import * as ErrorBody from "./ErrorBody.ts"
import type { FrameBinding, Opening } from "./FrameBinding.ts"
import type { Write } from "./StreamCodec.ts"
import * as WebSocketControl from "./WebSocketControl.ts"

export interface Options {
  /** Largest message from a client, in bytes. */
  readonly maxMessageBytes: number
  readonly timers: DeadlineTimers
  /** A client is asked for a sign of life this often, in milliseconds, and dropped when it gives none until the next time. 0: never. */
  readonly keepAlive: number
  /** Reports what the caller must not see. */
  readonly report: (message: string, cause: unknown) => void
}

/** What a route knows of its call. */
export interface Route {
  readonly operation: Operation
  readonly binding: FrameBinding
  readonly opening: Opening
  readonly write: Write
  readonly replyCodec: Codec.Codec
  /** The replies are `google.api.HttpBody`: bytes. */
  readonly rawReplies: boolean
}

/** Bytes of messages that may wait for the handler before the socket is paused. */
const WINDOW = 65_536
/** What a message costs besides its bytes, so that empty ones count too. */
const OVERHEAD = 64
/** How long a client may take to answer our close, in milliseconds. */
const CLOSE_TIMEOUT = 5_000

/** Takes the connection of a request for a WebSocket and runs the call on it. */
export const make = (options: Options): ((exchange: NodeExchange, call: Incoming, route: Route) => void) => {
  const settings = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: options.maxMessageBytes,
    // Kratos sends every codec's bytes as text; ours check what they take for text
    skipUTF8Validation: true,
    closeTimeout: CLOSE_TIMEOUT,
    WebSocket: Socket
  }
  const server = new WebSocketServer(settings)
  // a handshake that is none; the socket is all there is
  server.on("wsClientError", (error, socket) => {
    const { body } = ErrorBody.encode(HttpError.badRequest(error.message), undefined)
    const head = `HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
    socket.end(Buffer.concat([Buffer.from(head), body]))
    socket.resume()
  })
  return (exchange, call, route) => {
    const taken = exchange.takeSocket()
    if (taken === undefined) return
    server.handleUpgrade(exchange.nodeRequest, taken.socket, taken.head, (socket) => {
      new WebSocketCall(socket, taken.socket, call, route, options).begin()
    })
  }
}

/** A socket that says when the library closes it, which is when the client has closed or broken the protocol. */
class Socket extends WebSocket {
  onClosing: ((code: number | undefined) => void) | undefined = undefined

  override close(code?: number, reason?: string | Buffer): void {
    this.onClosing?.(code)
    super.close(code, reason)
  }
}

class WebSocketCall {
  private readonly socket: Socket
  private readonly duplex: Duplex
  private readonly call: Incoming
  private readonly route: Route
  private readonly options: Options
  private readonly requests = new MessageQueue<Message, KratosError.KratosError>()
  /** Bytes that wait for the handler. */
  private waiting = 0
  /** The client has sent its last message, or one that was none. */
  private halfClosed = false
  private gone = false
  /** The client has broken the protocol: nothing more can be sent. */
  private broken = false
  private ended = false
  private alive = true
  private timer: Timer | undefined = undefined
  private cancel: (() => void) | undefined = undefined
  private drained: (() => void) | undefined = undefined

  constructor(socket: Socket, duplex: Duplex, call: Incoming, route: Route, options: Options) {
    this.socket = socket
    this.duplex = duplex
    this.call = call
    this.route = route
    this.options = options
    call.requests = this.requests.stream
    if (call.kind === "bidi_streaming") call.sink = this
  }

  begin(): void {
    const { duplex, requests, socket } = this
    requests.attach((bytes) => this.taken(bytes))
    socket.onClosing = (code) => this.closing(code)
    socket.on("message", (data: Buffer, isBinary) => this.onMessage(data, isBinary))
    socket.on("pong", () => (this.alive = true))
    // the close that follows is what counts
    socket.on("error", () => {})
    socket.once("close", () => this.abort())
    duplex.on("drain", () => this.drained?.())
    this.keepAlive()
    this.cancel = this.route.operation.run(this.call, (exit) => this.end(exit))
  }

  // ---- requests

  private onMessage(frame: Buffer, isBinary: boolean): void {
    this.alive = true
    if (this.halfClosed || this.gone) return
    const control = isBinary ? undefined : WebSocketControl.parse(frame)
    if (control !== undefined) return this.onControl(control)
    const message = this.route.binding.bind(frame, this.route.opening)
    if (Result.isFailure(message)) return this.halfClose(Exit.fail(message.failure))
    const bytes = frame.length + OVERHEAD
    this.waiting += bytes
    this.requests.push(message.success)
    this.requests.received(bytes)
    if (this.waiting >= WINDOW) this.socket.pause()
  }

  private onControl(control: WebSocketControl.Control): void {
    switch (control._tag) {
      case "End":
        return this.halfClose(Exit.void)
      case "Error":
        return this.halfClose(Exit.fail(GrpcError.cancelled(`the client's requests failed: ${control.error.message}`)))
      case "Unknown":
        return this.halfClose(Exit.fail(Codec.malformed("unknown control message")))
    }
  }

  private halfClose(exit: Exit.Exit<unknown, KratosError.KratosError>): void {
    this.halfClosed = true
    this.requests.end(exit)
  }

  private taken(bytes: number): void {
    this.waiting -= bytes
    if (this.waiting < WINDOW && this.socket.isPaused) this.socket.resume()
  }

  // ---- replies

  /** Sink of the handler. */
  readonly write = (replies: ReadonlyArray<Reply>, from = 0): Effect.Effect<void, KratosError.KratosError> =>
    Effect.suspend(() => {
      if (this.gone || this.broken) return Effect.interrupt
      for (let i = from; i < replies.length; i++) {
        // on its way out: nothing is sent any more, nothing is ever full, and the "close" that interrupts needs its turn
        if (this.socket.readyState !== WebSocket.OPEN) return Effect.never
        this.send(replies[i]!)
        // the rest of a large batch waits unencoded
        if (this.duplex.writableNeedDrain) return Effect.andThen(this.drain, this.write(replies, i + 1))
      }
      return Effect.void
    })

  private send(reply: Reply): void {
    const { rawReplies, replyCodec, write } = this.route
    this.socket.send(write(reply, replyCodec), { binary: rawReplies || replyCodec.binary === true })
  }

  private readonly drain: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.gone) return resume(Effect.interrupt)
    // the fiber may have yielded since the socket was found full
    if (!this.duplex.writableNeedDrain) return resume(Effect.void)
    this.drained = () => {
      this.drained = undefined
      resume(Effect.void)
    }
  })

  // ---- the end

  private end(exit: Ended): void {
    this.ended = true
    this.release()
    this.requests.close()
    if (this.gone || this.broken) return
    if (Exit.isFailure(exit)) return this.fail(KratosError.fromCause(exit.cause))
    if (this.call.sink === undefined) {
      try {
        this.send(exit.value as Reply) // this kind ends with a reply
      } catch (cause) {
        this.options.report(`${this.call.operation}: the reply cannot be encoded`, cause)
        return this.fail(KratosError.internalServer("", "internal error"))
      }
    }
    this.socket.close(1000)
  }

  private fail(error: KratosError.KratosError): void {
    this.socket.send(WebSocketControl.error(error))
    // RFC 6455, section 7.4.1: 1001 of a server that goes down
    this.socket.close(isGoingAway(error) ? 1001 : 1011, WebSocketControl.closeReason(error))
  }

  /** The socket is about to send its close frame: ours, the answer to the client's, or what the library says of a broken frame. */
  private closing(code: number | undefined): void {
    if (this.ended || this.gone) return
    const failure =
      code === 1009
        ? HttpError.bodyTooLarge(this.options.maxMessageBytes)
        : code === 1002 || code === 1007
          ? Codec.malformed("not the WebSocket protocol")
          : undefined
    if (failure === undefined) return this.abort()
    this.socket.send(WebSocketControl.error(failure))
    this.broken = true
    // the handler hears of it too
    this.halfClose(Exit.fail(failure))
  }

  private abort(): void {
    if (this.gone) return
    this.gone = true
    // first: a handler that waits for a request or for the wire is interrupted there, and sees no failure
    this.cancel?.()
    this.release()
    this.requests.end(Exit.fail(GrpcError.cancelled("the client closed the WebSocket")))
    this.drained?.()
  }

  private keepAlive(): void {
    const { keepAlive, timers } = this.options
    if (keepAlive <= 0) return
    this.timer = timers.add(timers.now() + keepAlive, () => {
      // a paused socket hears nothing
      if (!this.alive && !this.socket.isPaused) return this.socket.terminate()
      this.alive = false
      this.socket.ping()
      this.keepAlive()
    })
  }

  private release(): void {
    this.cancel = undefined
    if (this.timer !== undefined) this.options.timers.remove(this.timer)
    this.timer = undefined
  }
}
