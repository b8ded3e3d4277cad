/**
 * Compressed bodies of HTTP (RFC 9110, sections 8.4 and 12.5.3): replies by what `Accept-Encoding` takes, requests by their `Content-Encoding`. gRPC,
 * gRPC-Web and Connect compress messages themselves, streams are left alone. Large bodies are worked on off the main thread.
 *
 * Limits: a request may not be longer than the server's limit once it is decompressed, nor ask for a window of more than 8 MiB.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { isUint8Array } from "node:util/types"
import * as zlib from "node:zlib"
import * as HttpError from "./HttpError.ts"
import { EMPTY, type HttpExchange } from "./HttpExchange.ts"

export type Encoding = "zstd" | "br" | "gzip"

export interface Options {
  /** Shorter replies are sent as they are. Default 1024 bytes. */
  readonly minBytes?: number | undefined
  /** What replies may be compressed with, best first: it decides where the client does not care. Default zstd, br, gzip. */
  readonly encodings?: ReadonlyArray<Encoding> | undefined
  /** Longer bodies are compressed off the main thread. Default 64 KiB. */
  readonly offloadBytes?: number | undefined
}

type Fields = ReadonlyArray<readonly [string, string]>
type Done = (body: Uint8Array | KratosError.KratosError) => void

/** Reads requests and sends replies in place of the exchange. */
export interface Compression {
  /** As `HttpExchange.readBody`: 415 for an encoding that is not known, 413 for a body that is too long in either form, 400 for one that is broken. */
  readonly readBody: (exchange: HttpExchange, maxBytes: number, done: Done) => void
  readonly respond: (exchange: HttpExchange, status: number, fields: Fields, body: Uint8Array) => void
}

/** Sends replies as they are, and takes no request that is compressed. */
export const none: Compression = {
  readBody: (exchange, maxBytes, done) => {
    const encoding = encodingOf(exchange)
    if (encoding === undefined) exchange.readBody(maxBytes, done)
    else refuse(exchange, encoding, "identity", done)
  },
  respond: (exchange, status, fields, body) => exchange.respond(status, fields, body)
}

/** Not there in every version of Node. */
const hasZstd = typeof (zlib as { readonly zstdCompress?: unknown }).zstdCompress === "function"

export const make = (options: Options = {}): Compression => {
  const { encodings = ["zstd", "br", "gzip"], minBytes = 1024, offloadBytes = 65_536 } = options
  const offered = encodings.filter((encoding) => encoding !== "zstd" || hasZstd)

  // clients say the same all the time
  let last: { readonly header: string | undefined; readonly found: Negotiated } = {
    header: undefined,
    found: negotiate(undefined, offered)
  }

  const respond: Compression["respond"] = (exchange, status, fields, body) => {
    const header = exchange.header("accept-encoding")
    if (header !== last.header) last = { header, found: negotiate(header, offered) }
    const { chosen, identity } = last.found
    if ((body.length < minBytes && identity) || body.length === 0 || !isCompressible(status, fields))
      return exchange.respond(status, fields, body)
    const plain = (): void => exchange.respond(status, [...fields, VARY], body)
    if (chosen === undefined) return plain()
    const send = (compressed: Uint8Array): void => {
      if (compressed.length >= body.length && identity) return plain()
      exchange.respond(status, [...encoded(fields, compressed.length), ["content-encoding", chosen], VARY], compressed)
    }
    if (body.length <= offloadBytes) return send(compressSync(chosen, body))
    compress(chosen, body, (error, compressed) => (error === null ? send(compressed) : plain()))
  }

  const readBody: Compression["readBody"] = (exchange, maxBytes, done) => {
    const encoding = encodingOf(exchange)
    if (encoding === undefined) return exchange.readBody(maxBytes, done)
    const format = decoders.get(encoding)
    if (format === undefined) return refuse(exchange, encoding, [...decoders.keys()].join(", "), done)
    exchange.readBody(maxBytes, (body) => {
      if (!isUint8Array(body) || body.length === 0) return done(body)
      if (body.length <= SYNC) return done(decompressSync(format, body, maxBytes))
      let gone = false
      // a request of which nobody waits for the reply is not begun
      exchange.whenAborted(() => (gone = true))
      format.decompress(body, maxBytes, (error, plain) => {
        if (!gone) done(error === null ? plain : failure(error, maxBytes))
      })
    })
  }
  return { readBody, respond }
}

const VARY = ["vary", "accept-encoding"] as const

// ---- replies

/** Text, and formats that are like text; what is compressed already is not among them. */
const compressible =
  /^(?:text\/(?!event-stream)[\w.+-]+|application\/(?:json|protojson|xml|yaml|x-yaml|javascript|x-ndjson|x-www-form-urlencoded|proto|protobuf|x-protobuf|msgpack|wasm|[\w.-]+\+(?:json|xml|yaml))|image\/svg\+xml)\s*(?:;|$)/i

const isCompressible = (status: number, fields: Fields): boolean => {
  if (status < 200 || status === 204 || status === 206 || status === 304) return false
  let type = false
  for (const [name, value] of fields) {
    if (name === "content-encoding" || name === "content-range") return false
    if (name === "cache-control" && /\bno-transform\b/i.test(value)) return false
    if (name === "content-type") type = compressible.test(value)
  }
  return type
}

/** The fields of a reply in another form: of another length, and no longer the same bytes as its strong entity tag says. */
const encoded = (fields: Fields, length: number): Fields =>
  fields.map(([name, value]) => {
    if (name === "content-length") return [name, String(length)]
    return name === "etag" && value.startsWith('"') ? [name, `W/${value}`] : [name, value]
  })

const compressSync = (encoding: Encoding, body: Uint8Array): Uint8Array =>
  encoding === "gzip" ? zlib.gzipSync(body) : encoding === "br" ? zlib.brotliCompressSync(body, brotli) : zlib.zstdCompressSync(body)

const compress = (encoding: Encoding, body: Uint8Array, done: (error: Error | null, compressed: Uint8Array) => void): void => {
  if (encoding === "gzip") zlib.gzip(body, done)
  else if (encoding === "br") zlib.brotliCompress(body, brotli, done)
  else zlib.zstdCompress(body, done)
}

/** The default is for files that are compressed once. */
const brotli: zlib.BrotliOptions = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } }

/** Parts of a header that are looked at. */
const MAX_PARTS = 32

export interface Negotiated {
  readonly chosen: Encoding | undefined
  /** Whether the client takes the body as it is. */
  readonly identity: boolean
}

/** The encoding of the highest weight; of equals the first that is offered. A client that takes nothing we have gets the body as it is. */
export const negotiate = (header: string | undefined, offered: ReadonlyArray<Encoding>): Negotiated => {
  if (header === undefined) return { chosen: undefined, identity: true }
  const weights = new Map<string, number>()
  for (const part of header.toLowerCase().split(",", MAX_PARTS)) {
    const [name = "", ...parameters] = part.split(";").map((text) => text.trim())
    const weight = parameters.find((parameter) => /^q\s*=/.test(parameter))
    if (name !== "" && !weights.has(name))
      weights.set(name, weight === undefined ? 1 : quality(weight.slice(weight.indexOf("=") + 1).trim()))
  }
  const star = weights.get("*")
  const identityWeight = weights.get("identity") ?? (star === 0 ? 0 : undefined)
  let chosen: Encoding | undefined
  let best = 0
  for (const encoding of offered) {
    const weight = weights.get(encoding) ?? (encoding === "gzip" ? weights.get("x-gzip") : undefined) ?? star ?? 0
    if (weight > best) [chosen, best] = [encoding, weight]
  }
  // who prefers the plain form says so
  if (identityWeight !== undefined && identityWeight > best) chosen = undefined
  return { chosen, identity: identityWeight !== 0 || chosen === undefined }
}

/** What is no weight is none. */
const quality = (text: string): number => (/^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Number(text) : 0)

// ---- requests

/** Compressed requests up to this length are decompressed at once. */
const SYNC = 8_192

interface Decoder {
  readonly decompress: (body: Uint8Array, maxOutputLength: number, done: (error: Error | null, plain: Uint8Array) => void) => void
  readonly decompressSync: (body: Uint8Array, maxOutputLength: number) => Uint8Array
}

const gzip: Decoder = {
  decompress: (body, maxOutputLength, done) => zlib.gunzip(body, { maxOutputLength }, done),
  decompressSync: (body, maxOutputLength) => zlib.gunzipSync(body, { maxOutputLength })
}

const deflate: Decoder = {
  decompress: (body, maxOutputLength, done) => zlib.inflate(body, { maxOutputLength }, done),
  decompressSync: (body, maxOutputLength) => zlib.inflateSync(body, { maxOutputLength })
}

const br: Decoder = {
  decompress: (body, maxOutputLength, done) => zlib.brotliDecompress(body, { maxOutputLength }, done),
  decompressSync: (body, maxOutputLength) => zlib.brotliDecompressSync(body, { maxOutputLength })
}

/** The smallest limit of the window that every compressor stays within (RFC 8878, section 3.1.1.1.2): 8 MiB. */
const zstdParams = { [zlib.constants.ZSTD_d_windowLogMax]: 23 }

const zstd: Decoder = {
  decompress: (body, maxOutputLength, done) => zlib.zstdDecompress(body, { maxOutputLength, params: zstdParams }, done),
  decompressSync: (body, maxOutputLength) => zlib.zstdDecompressSync(body, { maxOutputLength, params: zstdParams })
}

const decoders: ReadonlyMap<string, Decoder> = new Map([
  ["gzip", gzip],
  ["x-gzip", gzip],
  ["deflate", deflate],
  ["br", br],
  ...(hasZstd ? [["zstd", zstd] as const] : [])
])

/** The encoding of a request, in lower case; undefined when there is none. */
const encodingOf = (exchange: HttpExchange): string | undefined => {
  const header = exchange.header("content-encoding")
  if (header === undefined) return undefined
  const names = header
    .toLowerCase()
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "" && name !== "identity")
  return names.length === 0 ? undefined : names.join(", ")
}

/** 415, with what would be understood. */
const refuse = (exchange: HttpExchange, encoding: string, known: string, done: Done): void => {
  exchange.addFields([["accept-encoding", known]])
  exchange.readBody(0, () => done(KratosError.make(415, "CODEC", `unsupported content encoding ${JSON.stringify(encoding.slice(0, 64))}`)))
}

const decompressSync = (format: Decoder, body: Uint8Array, maxBytes: number): Uint8Array | KratosError.KratosError => {
  try {
    const plain = format.decompressSync(body, maxBytes)
    return plain.length === 0 ? EMPTY : plain
  } catch (error) {
    return failure(error, maxBytes)
  }
}

const failure = (error: unknown, maxBytes: number): KratosError.KratosError =>
  (error as { readonly code?: unknown }).code === "ERR_BUFFER_TOO_LARGE"
    ? HttpError.bodyTooLarge(maxBytes)
    : HttpError.badRequest("the body is not what its content encoding says")
