/**
 * One exchange of a client over HTTP/1.1, in the form in which calls know streams of HTTP/2. It has a connection for itself; a node that cannot be reached
 * is passed over for the next, as long as nothing has been sent.
 */
import { Headers } from "@effect-kratos/http2/Headers"
import * as http from "node:http"
import type { ClientExchange, ClientStream, Field } from "../ClientProtocol.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import { type Node, NotConnected } from "../rest/Nodes.ts"
import { EMPTY } from "./HttpExchange.ts"

/** How many bytes of a reply may wait for `consumed`. */
const WINDOW = 262_144

/** Largest head of a reply, in bytes, as our limit of HTTP/2. */
const MAX_HEAD = 65_536

/** How often a GET is sent again that was lost with a connection that had been idle. */
const RETRIES = 3

export class Http1Call implements ClientStream {
  closed = false
  private readonly nodes: ReadonlyArray<Node>
  private readonly head: ReadonlyArray<Field>
  private readonly exchange: ClientExchange
  private readonly body: Uint8Array | undefined
  /** Whether the request is complete with its body. */
  private readonly whole: boolean
  private sent: http.ClientRequest
  private reply: http.IncomingMessage | undefined = undefined
  private window = WINDOW
  /** Parts of a streamed request that came before there was a connection. */
  private early: Array<Uint8Array> | undefined
  private ending = false

  /** `nodes` in the order in which they are tried; at least one. */
  constructor(
    nodes: ReadonlyArray<Node>,
    head: ReadonlyArray<Field>,
    exchange: ClientExchange,
    body: Uint8Array | undefined,
    whole: boolean
  ) {
    this.nodes = nodes
    this.head = head
    this.exchange = exchange
    this.body = body
    this.whole = whole
    this.early = whole ? undefined : []
    this.sent = this.start(0, 0)
  }

  private start(index: number, retries: number): http.ClientRequest {
    const node = this.nodes[index]!
    if (index > 0) this.exchange.receiver.onPeer(node)
    const headers = ["host", node.authority]
    let method = "POST"
    let path = "/"
    for (const [name, value] of this.head) {
      if (name === ":method") method = value
      else if (name === ":path") path = value
      else if (!name.startsWith(":")) headers.push(name, value)
    }
    if (this.body !== undefined) headers.push("content-length", String(this.body.length))
    const sent = http.request({ agent: node.agent, method, path, headers, maxHeaderSize: MAX_HEAD })
    sent.on("error", (error: Error) => {
      if (this.closed || this.reply !== undefined || sent !== this.sent) return
      if (error instanceof NotConnected) {
        if (index + 1 < this.nodes.length) this.sent = this.start(index + 1, retries)
        else {
          this.exchange.receiver.onUnsent()
          this.exchange.fail(error.failure)
        }
      } else if (sent.reusedSocket && method === "GET" && retries < RETRIES) this.sent = this.start(index, retries + 1)
      else this.exchange.fail(GrpcError.unavailable("the connection was lost before the reply came", error))
    })
    sent.on("response", (reply) => {
      const keepAlive = reply.headers["keep-alive"]
      if (typeof keepAlive === "string") node.agent.hear(keepAlive)
      this.onReply(reply)
    })
    if (this.whole) sent.end(this.body)
    else {
      sent.once("socket", () => this.flush())
      sent.on("drain", () => this.exchange.onDrain())
    }
    return sent
  }

  /** There is a connection: the head goes out at once, since the server may want to begin before the first message. */
  private flush(): void {
    const early = this.early
    if (early === undefined || this.closed) return
    this.early = undefined
    this.sent.flushHeaders()
    for (const chunk of early) this.sent.write(chunk)
    if (this.ending) this.sent.end()
    else if (early.length > 0 && !this.sent.writableNeedDrain) this.exchange.onDrain()
  }

  data(chunk: Uint8Array, endStream: boolean): boolean {
    if (this.closed || this.ending || this.whole) return true
    this.ending = endStream
    if (this.early !== undefined) {
      if (chunk.length > 0) this.early.push(chunk)
      return false
    }
    const taken = chunk.length === 0 || this.sent.write(chunk)
    if (endStream) this.sent.end()
    return taken
  }

  consumed(bytes: number): void {
    this.window += bytes
    if (this.window > 0 && this.reply?.isPaused() === true) this.reply.resume()
  }

  /** HTTP/1.1 has no other way than to close the connection. */
  reset(): void {
    if (this.closed) return
    this.closed = true
    this.sent.destroy()
  }

  private onReply(reply: http.IncomingMessage): void {
    this.reply = reply
    const fields = reply.rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text))
    let complete = false
    const end = (): void => {
      if (this.closed) return
      // a request that is still going out has no use any more, and takes its connection along
      this.closed = this.sent.writableFinished
      this.exchange.onData(EMPTY, true)
    }
    reply.on("data", (chunk: Buffer) => {
      if (this.closed) return
      this.window -= chunk.length
      if (this.window <= 0) reply.pause()
      this.exchange.onData(chunk, false)
    })
    reply.once("end", () => {
      complete = true
      if (!this.sent.writableFinished) end()
    })
    const lost = (error?: Error): void => {
      if (!this.closed && !complete)
        this.exchange.fail(GrpcError.unavailable("the connection was lost before the reply was complete", error))
    }
    reply.on("error", lost)
    // by then the connection is free again, for a call that follows at once
    reply.once("close", () => (complete ? end() : lost()))
    this.exchange.onHeaders(new Headers("", "", "", "", "", reply.statusCode ?? 0, fields, -1, 0), false)
  }
}
