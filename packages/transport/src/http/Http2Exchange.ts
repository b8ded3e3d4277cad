/** An HTTP exchange on a stream of the HTTP/2 engine. */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import { ErrorCode } from "@effect-kratos/http2/ErrorCode"
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import type { Headers } from "@effect-kratos/http2/Headers"
import type { Stream as H2Stream, StreamListener } from "@effect-kratos/http2/Stream"
import { ByteBuffer } from "../ByteBuffer.ts"
import type { Origin } from "../Origin.ts"
import * as HttpError from "./HttpError.ts"
import { type BodyReader, EMPTY, type HttpExchange, withLength } from "./HttpExchange.ts"

export class Http2Exchange implements HttpExchange, StreamListener {
  readonly version = 2
  readonly method: string
  readonly target: string
  scheme: string
  authority: string
  readonly fields: ReadonlyArray<string>
  origin: Origin
  private readonly stream: H2Stream
  private readonly headers: Headers
  private readonly body = new ByteBuffer()
  private received = 0
  private ended: boolean
  private reading: { readonly maxBytes: number; readonly done: (body: Uint8Array | KratosError) => void } | undefined = undefined
  private aborted: (() => void) | undefined = undefined
  private drained: (() => void) | undefined = undefined
  private reader: BodyReader | undefined = undefined
  private added: ReadonlyArray<readonly [string, string]> = []

  constructor(stream: H2Stream, headers: Headers, endStream: boolean, origin: Origin) {
    this.stream = stream
    this.headers = headers
    this.ended = endStream
    this.method = headers.method
    this.target = headers.path
    this.scheme = headers.scheme
    this.authority = headers.authority
    this.fields = headers.fields
    this.origin = origin
  }

  setOrigin(origin: Origin): void {
    this.origin = origin
    this.scheme = origin.scheme ?? this.scheme
    this.authority = origin.host ?? this.authority
  }

  header(name: string): string | undefined {
    return this.headers.get(name)
  }

  /** Must be called in the tick in which the head came: until then nothing is kept. */
  readBody(maxBytes: number, done: (body: Uint8Array | KratosError) => void): void {
    this.reading = { maxBytes, done }
    this.progress()
  }

  respond(status: number, fields: ReadonlyArray<readonly [string, string]>, body: Uint8Array): void {
    if (this.stream.closed) return
    this.aborted = undefined
    const head = this.head(status, withLength(status, fields, body))
    if (body.length === 0 || this.method === "HEAD") this.stream.headers(head, true)
    else this.stream.respond(head, body, undefined)
  }

  /** Sends a reply whose body comes as a stream, at the pace of the client. */
  respondStream(status: number, fields: ReadonlyArray<readonly [string, string]>, body: ReadableStream<Uint8Array> | null): void {
    if (body === null || this.method === "HEAD") return this.respond(status, fields, EMPTY)
    if (this.stream.closed) return void body.cancel()
    this.stream.headers(this.head(status, fields), false)
    this.pump(body).catch(() => this.stream.reset(ErrorCode.INTERNAL_ERROR))
  }

  private async pump(body: ReadableStream<Uint8Array>): Promise<void> {
    for await (const chunk of body) {
      if (this.stream.closed) return
      if (!this.stream.data(chunk, false)) await new Promise<void>((resume) => (this.drained = resume))
    }
    this.stream.data(EMPTY, true)
  }

  private head(status: number, fields: ReadonlyArray<readonly [string, string]>): HeaderBlock {
    return HeaderBlock.make([[":status", String(status)], ...fields, ...this.added], { reuse: false })
  }

  addFields(fields: ReadonlyArray<readonly [string, string]>): void {
    this.added = [...this.added, ...fields]
  }

  readStream(reader: BodyReader): void {
    if (this.ended) return reader.onEnd()
    this.reader = reader
  }

  consumed(bytes: number): void {
    this.stream.consumed(bytes)
  }

  start(status: number, fields: ReadonlyArray<readonly [string, string]>): void {
    this.stream.headers(this.head(status, fields), false)
  }

  write(chunk: Uint8Array): boolean {
    return this.stream.data(chunk, false)
  }

  whenDrained(listener: () => void): void {
    this.drained = listener
  }

  finish(last: Uint8Array): void {
    this.aborted = undefined
    this.stream.data(last, true)
  }

  reset(): void {
    this.stream.reset(ErrorCode.INTERNAL_ERROR)
  }

  onDrain(): void {
    this.drained?.()
  }

  whenAborted(listener: () => void): void {
    this.aborted = listener
  }

  onAbort(): void {
    this.reading = undefined
    this.reader = undefined
    this.body.clear()
    // first: what waits for the wire is interrupted there, and sees no failure
    this.aborted?.()
    this.drained?.()
  }

  onData(data: Uint8Array, endStream: boolean): void {
    if (this.reader !== undefined) return this.forward(this.reader, data, endStream)
    this.received += data.length
    this.ended = endStream
    // A body that nobody reads, or that is over the limit, is dropped as it comes.
    if (this.reading !== undefined && this.received <= this.reading.maxBytes) this.body.add(data)
    this.stream.consumed(data.length)
    this.progress()
  }

  private forward(reader: BodyReader, data: Uint8Array, endStream: boolean): void {
    if (data.length > 0) reader.onData(data)
    if (!endStream) return
    this.ended = true
    this.reader = undefined
    reader.onEnd()
  }

  onTrailers(): void {
    if (this.reader !== undefined) return this.forward(this.reader, EMPTY, true)
    this.ended = true
    this.progress()
  }

  private progress(): void {
    const reading = this.reading
    if (reading === undefined) return
    if (this.received > reading.maxBytes) {
      this.reading = undefined
      this.body.clear()
      reading.done(HttpError.bodyTooLarge(reading.maxBytes))
    } else if (this.ended) {
      this.reading = undefined
      reading.done(this.body.take())
    }
  }
}
