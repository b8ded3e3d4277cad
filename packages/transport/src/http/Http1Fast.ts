/**
 * HTTP/1.1 without `node:http` for the requests that make up most of the traffic: well-formed, whole in one read, for a unary method. One pass over
 * the bytes, one write for the reply. The first request of a connection that is anything else goes to `node:http` with the connection and every
 * unread byte, and stays there. Replies leave in the order of the requests: the next request is looked at when the reply to the last is out.
 */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import { STATUS_CODES } from "node:http"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { DeadlineTimers, Timer } from "../DeadlineTimers.ts"
import type { Origin } from "../Origin.ts"
import * as SharedRead from "../SharedRead.ts"
import * as HttpError from "./HttpError.ts"
import { type BodyReader, EMPTY, type Handler, hasLength, type HttpExchange } from "./HttpExchange.ts"
import * as Http1Head from "./Http1Head.ts"

export interface Options {
  readonly handler: Handler
  /** Whether a request is one for this path; it is then answered with `respond`. */
  readonly eligible: (method: string, target: string) => boolean
  /** Takes a connection back, unread bytes first. */
  readonly handOff: (duplex: Duplex, origin: Origin, life: Life) => void
  readonly timers: DeadlineTimers
  /** How long a connection may be idle, in milliseconds. */
  readonly keepAliveTimeout: number
  /** Largest head, in bytes. */
  readonly maxHeaderBytes: number
}

/** What is known of a connection besides its bytes. */
export interface Life {
  /** It has grown old: the next reply is its last. */
  readonly retired: boolean
  /** A request has come over it, so its client speaks HTTP/1.1. */
  served: boolean
}

export interface Http1Fast {
  readonly accept: (duplex: Duplex, origin: Origin, first: Buffer, life: Life) => void
  /** Idle connections are closed at once, the others with their reply. */
  readonly shutdown: () => void
}

/** Bytes that may wait behind a request that is being answered. */
const MAX_WAITING = 65_536
/** A body up to this length is waited for; a longer one that did not come with its head goes to `node:http`. */
const MAX_BODY_AWAITED = 16_384

/** Bytes of a read that are made a string as a whole. */
const SHORT = 4096

export const make = (options: Options): Http1Fast => {
  const shared: Shared = { options, closing: false, connections: new Set(), now: 0, second: -1, date: "", fields: undefined, head: "" }
  return {
    accept: (duplex, origin, first, life) => new Connection(duplex, origin, life, shared).receive(first),
    shutdown: () => {
      shared.closing = true
      for (const connection of shared.connections) connection.closeIfIdle()
    }
  }
}

interface Shared {
  readonly options: Options
  closing: boolean
  readonly connections: Set<Connection>
  /** Milliseconds since the epoch, as of the last reply. */
  now: number
  second: number
  date: string
  /** The fields of the last reply of status 200, and its head as far as they make it. */
  fields: ReadonlyArray<readonly [string, string]> | undefined
  head: string
}

class Connection {
  readonly duplex: Duplex
  readonly origin: Origin
  readonly life: Life
  readonly shared: Shared
  private unread: Buffer | undefined = undefined
  private exchange: Exchange | undefined = undefined
  /** The head of a request whose body has not come whole, and the length of both: it is not parsed again with each part. */
  private awaited: { readonly head: Http1Head.Head; readonly length: number } | undefined = undefined
  private processing = false
  /** The client does not read: the next request waits until it does. */
  private blocked = false
  private timer: Timer | undefined = undefined
  private lastReply = 0
  /** Chunks lie in memory that all connections read into: what is kept of one is copied. */
  private isShared = false

  constructor(duplex: Duplex, origin: Origin, life: Life, shared: Shared) {
    this.duplex = duplex
    this.origin = origin
    this.life = life
    this.shared = shared
    shared.connections.add(this)
    duplex.on("data", this.receive)
    duplex.on("end", this.onEnd)
    duplex.on("close", this.onClose)
    duplex.on("error", ignore)
    this.watch(shared.options.timers.now())
  }

  readonly receive = (chunk: Buffer): void => {
    const isAlone = this.unread === undefined
    this.unread = this.unread === undefined ? chunk : Buffer.concat([this.unread, chunk])
    if (this.exchange === undefined && !this.blocked) this.process()
    else if (this.unread.length > MAX_WAITING) this.duplex.pause()
    if (isAlone && this.isShared && this.unread !== undefined) this.unread = Buffer.from(this.unread)
  }

  private process(): void {
    if (this.processing) return
    this.processing = true
    while (this.unread !== undefined && this.exchange === undefined && !this.blocked) {
      const taken = this.next(this.unread)
      if (taken === 0) break
      this.unread = taken === this.unread.length ? undefined : this.unread.subarray(taken)
      const exchange = this.exchange as Exchange | undefined // set by `next`
      if (exchange !== undefined) this.shared.options.handler(exchange)
    }
    this.processing = false
  }

  /** Makes the exchange of the request at the front; returns its length, or 0 when it is not whole or the connection has gone to `node:http`. */
  private next(bytes: Buffer): number {
    const request = this.awaited ?? this.parse(bytes)
    if (request === undefined) {
      this.handOff(bytes)
      return 0
    }
    this.life.served = true
    const { head, length } = request
    this.awaited = length > bytes.length ? request : undefined
    if (length > bytes.length) return 0
    const body = head.contentLength === 0 ? EMPTY : bytes.subarray(length - head.contentLength, length)
    this.exchange = new Exchange(this, head, this.isShared && body.length > 0 ? Buffer.from(body) : body)
    // a connection that begins like this mostly goes on like this
    if (!this.isShared && this.duplex instanceof Socket) this.isShared = SharedRead.enable(this.duplex)
    return length
  }

  /** Undefined: a request for `node:http`. */
  private parse(bytes: Buffer): { readonly head: Http1Head.Head; readonly length: number } | undefined {
    const { eligible, maxHeaderBytes } = this.shared.options
    // to look for the end in a string needs no call out of JavaScript; most reads hold a head and little else
    const text = bytes.length <= SHORT ? bytes.toString("latin1") : undefined
    const end = text === undefined ? bytes.indexOf("\r\n\r\n") : text.indexOf("\r\n\r\n")
    if (end < 0 || end > maxHeaderBytes || this.shared.closing) return undefined
    const head = Http1Head.parse(text === undefined ? bytes.toString("latin1", 0, end) : text.slice(0, end))
    if (head === undefined || !eligible(head.method, head.target)) return undefined
    const length = end + 4 + head.contentLength
    return length > bytes.length && head.contentLength > MAX_BODY_AWAITED ? undefined : { head, length }
  }

  private handOff(bytes: Buffer): void {
    const { duplex } = this
    this.leave()
    this.unread = undefined
    duplex.unshift(this.isShared ? Buffer.from(bytes) : bytes)
    if (this.isShared && duplex instanceof Socket) SharedRead.disable(duplex)
    this.shared.options.handOff(duplex, this.origin, this.life)
  }

  /** The next reply is the last one. */
  get isLast(): boolean {
    return this.shared.closing || this.life.retired
  }

  /** Writes the reply of the exchange and goes on with what has come meanwhile. */
  reply(text: string, body: Uint8Array | undefined): void {
    const { duplex } = this
    this.exchange = undefined
    this.lastReply = this.shared.now
    let more: boolean
    if (body === undefined) more = duplex.write(text, "latin1")
    else {
      duplex.cork()
      duplex.write(text, "latin1")
      more = duplex.write(body)
      duplex.uncork()
    }
    if (this.isLast) duplex.end()
    else if (more) this.proceed()
    else {
      this.blocked = true
      duplex.once("drain", this.proceed)
    }
  }

  private readonly proceed = (): void => {
    this.blocked = false
    if (this.duplex.isPaused()) this.duplex.resume()
    if (this.unread !== undefined) this.process()
  }

  abort(): void {
    this.duplex.destroy()
  }

  closeIfIdle(): void {
    const { duplex } = this
    if (this.exchange !== undefined) return
    // the last reply may still be on its way to a client that reads slowly
    if (duplex.writableLength > 0) duplex.end(() => duplex.destroy())
    else duplex.destroy()
  }

  /** The client sends no more; it may still wait for a reply. */
  private readonly onEnd = (): void => {
    if (this.exchange === undefined) this.duplex.end()
  }

  private readonly onClose = (): void => {
    this.leave()
    const exchange = this.exchange
    this.exchange = undefined
    exchange?.gone()
  }

  private leave(): void {
    const { duplex, shared } = this
    if (this.timer !== undefined) shared.options.timers.remove(this.timer)
    shared.connections.delete(this)
    duplex.removeListener("data", this.receive)
    duplex.removeListener("end", this.onEnd)
    duplex.removeListener("close", this.onClose)
    duplex.removeListener("error", ignore)
    duplex.removeListener("drain", this.proceed)
  }

  /** One timer a connection, set again only when it fires: idle is what had no reply for the time, and no request under way. */
  private watch(now: number): void {
    const { keepAliveTimeout, timers } = this.shared.options
    this.timer = timers.add(now + keepAliveTimeout, () => {
      const idleUntil = this.lastReply + keepAliveTimeout
      if (this.exchange === undefined && idleUntil <= timers.now()) this.duplex.destroy()
      else this.watch(this.exchange === undefined ? this.lastReply : timers.now())
    })
  }
}

// "close" follows
const ignore = (): void => {}

/** Replies up to this size, in bytes, are joined to their head. */
const JOINED = 16_384

class Exchange implements HttpExchange {
  readonly version = 1
  private readonly connection: Connection
  private readonly head: Http1Head.Head
  private readonly body: Uint8Array
  private own: Origin | undefined = undefined
  private added: ReadonlyArray<readonly [string, string]> = []
  private aborted: (() => void) | undefined = undefined
  private parts:
    | { readonly status: number; readonly fields: ReadonlyArray<readonly [string, string]>; readonly chunks: Array<Uint8Array> }
    | undefined = undefined
  private done = false

  constructor(connection: Connection, head: Http1Head.Head, body: Uint8Array) {
    this.connection = connection
    this.head = head
    this.body = body
  }

  get method(): string {
    return this.head.method
  }
  get target(): string {
    return this.head.target
  }
  get scheme(): string {
    return this.own?.scheme ?? ("encrypted" in this.connection.duplex ? "https" : "http")
  }
  get authority(): string {
    return this.own?.host ?? this.head.host
  }
  get fields(): ReadonlyArray<string> {
    return this.head.fields
  }
  get origin(): Origin {
    return this.own ?? this.connection.origin
  }
  setOrigin(origin: Origin): void {
    this.own = origin
  }

  header(name: string): string | undefined {
    const { fields } = this.head
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1]
    return undefined
  }

  readBody(maxBytes: number, done: (body: Uint8Array | KratosError) => void): void {
    done(this.body.length > maxBytes ? HttpError.bodyTooLarge(maxBytes) : this.body)
  }

  respond(status: number, fields: ReadonlyArray<readonly [string, string]>, body: Uint8Array): void {
    if (this.done) return
    this.done = true
    const { shared } = this.connection
    let text = headOf(shared, status, fields)
    const { added } = this
    for (let i = 0; i < added.length; i++) text += line(added[i]![0], added[i]![1])
    if (!hasLength(status, fields)) text += `content-length: ${body.length}\r\n`
    text += dateLine(shared)
    text += this.connection.isLast ? "connection: close\r\n\r\n" : "\r\n"
    if (body.length === 0 || this.method === "HEAD") this.connection.reply(text, undefined)
    else if (body.length <= JOINED) this.connection.reply(text + latin1(body), undefined)
    else this.connection.reply(text, body)
  }

  whenAborted(listener: () => void): void {
    this.aborted = listener
  }

  /** The connection is gone. */
  gone(): void {
    if (this.done) return
    this.done = true
    this.aborted?.()
  }

  // Requests for this path are answered whole; a reply in parts is put together.

  readStream(reader: BodyReader): void {
    if (this.body.length > 0) reader.onData(this.body)
    reader.onEnd()
  }
  consumed(): void {}
  start(status: number, fields: ReadonlyArray<readonly [string, string]>): void {
    this.parts = { status, fields, chunks: [] }
  }
  write(chunk: Uint8Array): boolean {
    this.parts?.chunks.push(chunk)
    return true
  }
  whenDrained(): void {}
  finish(last: Uint8Array): void {
    if (this.parts !== undefined) this.respond(this.parts.status, this.parts.fields, Buffer.concat([...this.parts.chunks, last]))
  }
  reset(): void {
    this.done = true
    this.connection.abort()
  }
  addFields(fields: ReadonlyArray<readonly [string, string]>): void {
    this.added = this.added.length === 0 ? fields : [...this.added, ...fields]
  }
}

/** Status line and fields; those of a successful reply are mostly the same object as before. */
const headOf = (shared: Shared, status: number, fields: ReadonlyArray<readonly [string, string]>): string => {
  if (status === 200 && fields === shared.fields) return shared.head
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n`
  for (const [name, value] of fields) text += line(name, value)
  if (status === 200) {
    shared.fields = fields
    shared.head = text
  }
  return text
}

const latin1 = (body: Uint8Array): string =>
  (Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.length)).toString("latin1")

/** A field line. What could begin another line or is no octet is not let through. */
const line = (name: string, value: string): string => {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return ""
  }
  return `${name}: ${value}\r\n`
}

/** The Date field, made once a second (RFC 9110, section 6.6.1). */
const dateLine = (shared: Shared): string => {
  shared.now = shared.options.timers.now()
  const second = Math.floor(shared.now / 1000)
  if (second !== shared.second) {
    shared.second = second
    shared.date = `date: ${new Date(second * 1000).toUTCString()}\r\n`
  }
  return shared.date
}
