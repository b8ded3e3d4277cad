/** HTTP/1.1 through `node:http`, which is handed each connection after its first bytes were read. */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import * as http from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { ByteBuffer } from "../ByteBuffer.ts"
import type { DeadlineTimers, Timer } from "../DeadlineTimers.ts"
import type { Origin } from "../Origin.ts"
import * as HttpError from "./HttpError.ts"
import type { Life } from "./Http1Fast.ts"
import { type BodyReader, EMPTY, type Handler, type HttpExchange, withLength } from "./HttpExchange.ts"

export interface Options {
  /** Largest header section, in bytes. */
  readonly maxHeaderBytes: number
  /** How long a client may take to send its head, in milliseconds. */
  readonly headersTimeout: number
  readonly keepAliveTimeout: number
  readonly timers: DeadlineTimers
}

export interface Http1 {
  /** Serves a connection; `first` are the bytes that were read from it. */
  readonly accept: (duplex: Duplex, origin: Origin, life: Life) => void
  /** Connections are closed when their reply is out, idle ones at once. */
  readonly shutdown: () => void
  readonly destroy: () => void
  readonly server: http.Server
}

/** What Node's parser says of bytes that it cannot read. */
interface ClientError extends Error {
  readonly code?: string
  readonly rawPacket?: Uint8Array
}

/**
 * A first line without a version of HTTP is no request, and who sent it reads no reply of HTTP/1.1: a broken preface of HTTP/2, to which RFC 9113, section
 * 3.4, wants the connection closed, or another protocol altogether.
 */
const isForeign = ({ code, rawPacket }: ClientError): boolean => {
  if (code !== "HPE_INVALID_METHOD" || rawPacket === undefined) return false
  const end = rawPacket.indexOf(0x0a)
  return end !== -1 && !/ HTTP\/\d\.\d\r?$/.test(Buffer.from(rawPacket.subarray(Math.max(0, end - 16), end)).toString("latin1"))
}

const OriginId: unique symbol = Symbol("origin")
const LifeId: unique symbol = Symbol("life")
type WithOrigin = { [OriginId]?: Origin; [LifeId]?: Life }
const unknown: Origin = { address: "", endpoint: "", identity: undefined }

/** The request of an exchange, for code that needs Node's own objects. */
export interface NodeExchange extends HttpExchange {
  readonly nodeRequest: http.IncomingMessage
  readonly nodeResponse: http.ServerResponse
  /**
   * Hands over the connection of a client that asks for a WebSocket, with the bytes that came behind its head; undefined when it asks for none. Must be
   * called in the tick in which the exchange was handed over.
   */
  readonly takeSocket: () => { readonly socket: Duplex; readonly head: Buffer } | undefined
}

export const isNode = (exchange: HttpExchange): exchange is NodeExchange => "nodeRequest" in exchange

export const make = (handler: Handler, options: Options): Http1 => {
  const state: State = { closing: false }
  let sweep: Timer | undefined
  const inFlight = new Set<http.ServerResponse>()
  /** A reply whose head had left before the shutdown promised to keep its connection, which is idle now. */
  const onEnd = function (this: http.ServerResponse): void {
    inFlight.delete(this)
    if (state.closing) closeIdle()
  }
  /** Node takes a connection for idle whose reply is complete but has not left yet, and would cut it off. */
  const closeIdle = (): void => {
    for (const response of inFlight) if (response.writableEnded) return
    server.closeIdleConnections()
  }
  const server = http.createServer(
    {
      maxHeaderSize: options.maxHeaderBytes,
      headersTimeout: options.headersTimeout,
      connectionsCheckingInterval: CHECK,
      keepAliveTimeout: options.keepAliveTimeout,
      requireHostHeader: true,
      joinDuplicateHeaders: false
    },
    (request, response) => {
      inFlight.add(response)
      response.once("close", onEnd)
      handler(new Http1Exchange(request, response, state))
    }
  )
  // Node keeps its list of connections, and with it the timeouts and the close of idle ones, from this event on.
  server.emit("listening")
  // A malformed head has no exchange: answer in our error form and close.
  server.on("clientError", (error: ClientError, socket) => {
    if (!socket.writable || error.code === "ECONNRESET" || (isForeign(error) && (socket as WithOrigin)[LifeId]?.served !== true)) {
      socket.destroy()
      return
    }
    const status = STATUS[error.code ?? ""] ?? "400 Bad Request"
    const body = JSON.stringify({ code: Number(status.slice(0, 3)), reason: "", message: status.slice(4).toLowerCase(), metadata: {} })
    socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
  })
  server.on("upgrade", (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", ignore)
    if (request.headers.upgrade?.toLowerCase() !== "websocket") return decline(server, request, socket, head)
    // Answered like any other request until somebody takes the socket.
    const response = new http.ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(socket as Socket) // of which it uses what every Duplex has
    response.once("finish", () => socket.end())
    socket.on("drain", () => response.emit("drain"))
    const exchange = new Http1Exchange(request, response, state, head)
    handler(exchange)
    // else nobody would see it end
    if (!exchange.taken) socket.resume()
  })
  return {
    server,
    accept: (duplex, origin, life) => {
      const known = duplex as WithOrigin // nobody else knows the symbols
      known[OriginId] = origin
      known[LifeId] = life
      server.emit("connection", duplex)
    },
    shutdown: () => {
      state.closing = true
      // those that write their heads themselves, as a user's routes do
      for (const response of inFlight) response.shouldKeepAlive = false
      // a request whose body is still coming after its reply
      const look = (): void => {
        closeIdle()
        sweep = options.timers.add(options.timers.now() + SWEEP, look)
      }
      look()
    },
    destroy: () => {
      if (sweep !== undefined) options.timers.remove(sweep)
      // ends the check of the timeouts; there is no socket of its own to close. Earlier it would cut off replies that have not left
      server.close()
      server.closeAllConnections()
    }
  }
}

/** How often the times of heads and requests are looked at, in milliseconds: so much longer may they take. */
const CHECK = 10_000

/** What a client is told of an error of the parser; the rest is 400. */
const STATUS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout"
}

// "close" follows
const ignore = (): void => {}

/** Serves a request as if it had not asked for another protocol (`h2c`), which is every server's right (RFC 9110, section 7.8). */
const decline = (server: http.Server, request: http.IncomingMessage, socket: Duplex, head: Buffer): void => {
  let text = `${request.method} ${request.url} HTTP/${request.httpVersion}\r\n`
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i]!
    let value = request.rawHeaders[i + 1]!
    if (/^(?:upgrade|http2-settings)$/i.test(name)) continue
    if (/^connection$/i.test(name)) {
      const options = value.split(",").filter((option) => !/^\s*(?:upgrade|http2-settings)\s*$/i.test(option))
      value = options.join(",")
    }
    text += `${name}: ${value}\r\n`
  }
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, "latin1"), head]))
  server.emit("connection", socket)
}

/** What the exchanges of a server share. */
interface State {
  closing: boolean
}

/** How often a stopping server looks for idle connections, in milliseconds. */
const SWEEP = 20

/** How many bytes of a body may wait for `consumed`. */
const WINDOW = 65_536

class Http1Exchange implements NodeExchange {
  readonly version = 1
  readonly nodeRequest: http.IncomingMessage
  readonly nodeResponse: http.ServerResponse
  private readonly state: State
  private own: Origin | undefined = undefined
  private responded = false
  private window = WINDOW
  private readonly added: Array<readonly [string, string]> = []
  /** What came behind the head of a request for a WebSocket, which has no body. */
  private readonly upgrade: Buffer | undefined
  taken = false

  constructor(request: http.IncomingMessage, response: http.ServerResponse, state: State, upgrade?: Buffer) {
    this.nodeRequest = request
    this.nodeResponse = response
    this.state = state
    this.upgrade = upgrade
  }

  takeSocket(): { readonly socket: Duplex; readonly head: Buffer } | undefined {
    const { nodeResponse, upgrade } = this
    const socket = nodeResponse.socket
    if (upgrade === undefined || socket === null || this.responded) return undefined
    this.responded = true
    this.taken = true
    nodeResponse.detachSocket(socket)
    return { socket, head: upgrade }
  }

  get method(): string {
    return this.nodeRequest.method ?? ""
  }
  get target(): string {
    return this.nodeRequest.url ?? ""
  }
  get scheme(): string {
    return this.own?.scheme ?? ("encrypted" in this.nodeRequest.socket ? "https" : "http")
  }
  get authority(): string {
    return this.own?.host ?? this.nodeRequest.headers.host ?? ""
  }
  get origin(): Origin {
    return this.own ?? (this.nodeRequest.socket as WithOrigin)[OriginId] ?? unknown
  }
  setOrigin(origin: Origin): void {
    this.own = origin
  }
  get fields(): ReadonlyArray<string> {
    return this.nodeRequest.rawHeaders.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text))
  }

  header(name: string): string | undefined {
    const value = this.nodeRequest.headers[name]
    if (typeof value !== "string") return value?.[0]
    // Node joins fields of one name; the first counts, as it does on the other wires
    if (!value.includes(",") && !value.includes(";")) return value
    const { rawHeaders } = this.nodeRequest
    for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === name) return rawHeaders[i + 1]
    return value
  }

  readBody(maxBytes: number, done: (body: Uint8Array | KratosError) => void): void {
    const request = this.nodeRequest
    if (this.upgrade !== undefined) return done(EMPTY)
    const announced = request.headers["content-length"]
    if (announced === undefined && request.headers["transfer-encoding"] === undefined) return done(EMPTY)
    if (announced !== undefined && Number(announced) > maxBytes) return this.tooLarge(maxBytes, done)
    const bytes = new ByteBuffer()
    const onData = (chunk: Buffer) => {
      if (bytes.length + chunk.length > maxBytes) {
        request.removeListener("data", onData)
        request.removeListener("end", onEnd)
        this.tooLarge(maxBytes, done)
      } else bytes.add(chunk)
    }
    const onEnd = () => done(bytes.take())
    request.on("data", onData)
    request.once("end", onEnd)
  }

  // The rest of the body is not worth reading: the connection ends with the reply.
  private tooLarge(maxBytes: number, done: (body: KratosError) => void): void {
    this.nodeResponse.shouldKeepAlive = false
    this.nodeRequest.resume()
    done(HttpError.bodyTooLarge(maxBytes))
  }

  respond(status: number, fields: ReadonlyArray<readonly [string, string]>, body: Uint8Array): void {
    if (this.responded || this.nodeResponse.destroyed) return
    this.responded = true
    this.writeHead(status, withLength(status, fields, body))
    if (body.length === 0 || this.method === "HEAD") this.nodeResponse.end()
    // Node joins a string to the head and writes once; bytes go out as a second buffer
    else if (body.length <= 16_384)
      this.nodeResponse.end(Buffer.from(body.buffer, body.byteOffset, body.length).toString("latin1"), "latin1")
    else this.nodeResponse.end(body)
  }

  readStream(reader: BodyReader): void {
    const request = this.nodeRequest
    if (this.upgrade !== undefined) return reader.onEnd()
    request.on("data", (chunk: Buffer) => {
      this.window -= chunk.length
      if (this.window <= 0) request.pause()
      reader.onData(chunk)
    })
    request.once("end", reader.onEnd)
  }

  consumed(bytes: number): void {
    const full = this.window <= 0
    this.window += bytes
    if (full && this.window > 0) this.nodeRequest.resume()
  }

  start(status: number, fields: ReadonlyArray<readonly [string, string]>): void {
    const response = this.nodeResponse
    if (this.responded || response.headersSent || response.destroyed) return
    this.writeHead(status, fields)
    queueMicrotask(() => {
      if (!response.destroyed && !response.writableEnded) response.flushHeaders()
    })
  }

  write(chunk: Uint8Array): boolean {
    return this.responded || this.nodeResponse.destroyed || chunk.length === 0 || this.nodeResponse.write(chunk)
  }

  whenDrained(listener: () => void): void {
    this.nodeResponse.on("drain", listener)
  }

  finish(last: Uint8Array): void {
    if (this.responded || this.nodeResponse.destroyed) return
    this.responded = true
    if (last.length === 0) this.nodeResponse.end()
    else this.nodeResponse.end(last)
  }

  reset(): void {
    this.nodeResponse.destroy()
  }

  addFields(fields: ReadonlyArray<readonly [string, string]>): void {
    this.added.push(...fields)
    // for a user's routes, which write to Node's own object
    if (!this.nodeResponse.headersSent) for (const [name, value] of fields) this.nodeResponse.appendHeader(name, value)
  }

  private writeHead(status: number, fields: ReadonlyArray<readonly [string, string]>): void {
    if (this.state.closing || (this.nodeRequest.socket as WithOrigin)[LifeId]?.retired === true) this.nodeResponse.shouldKeepAlive = false
    const flat: Array<string> = []
    for (const [name, value] of fields) flat.push(name, value)
    for (const [name, value] of this.added) {
      // else Node drops one of two fields of the same name
      this.nodeResponse.removeHeader(name)
      flat.push(name, value)
    }
    this.nodeResponse.writeHead(status, flat)
  }

  whenAborted(listener: () => void): void {
    this.nodeResponse.once("close", () => {
      if (!this.responded) listener()
    })
  }
}
