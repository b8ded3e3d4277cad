/**
 * The port: accepts connections, tells HTTP/2 from HTTP/1.1 by their first bytes, and drains them when the scope closes. It knows nothing of
 * services; streams and exchanges go to the two handlers it is given.
 */
import type { Options as Http2Options } from "@effect-kratos/http2/Limits"
import * as ServerConnection from "@effect-kratos/http2/ServerConnection"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Random from "effect/Random"
import * as net from "node:net"
import type { Duplex } from "node:stream"
import { Admission } from "./Admission.ts"
import * as ConnectionLife from "./ConnectionLife.ts"
import type { DeadlineTimers } from "./DeadlineTimers.ts"
import * as EngineTimers from "./EngineTimers.ts"
import * as GrpcServer from "./grpc/Server.ts"
import * as Http1Fast from "./http/Http1Fast.ts"
import * as Http1 from "./http/Http1.ts"
import { Http2Exchange } from "./http/Http2Exchange.ts"
import type { Handler } from "./http/HttpExchange.ts"
import { type Accepted, type Address, format, Network } from "./Network.ts"
import type { Origin } from "./Origin.ts"
import * as SharedRead from "./SharedRead.ts"
import * as Tls from "./Tls.ts"
import type { ListenError } from "./NetworkError.ts"

export interface Handlers {
  readonly grpc: GrpcServer.GrpcServer
  readonly http: Handler
  /** Requests of HTTP/1.1 that `http` answers whole, so that they need no `node:http`. Default: none. */
  readonly whole?: ((method: string, target: string) => boolean) | undefined
}

export interface Options {
  readonly host: string
  readonly port: number
  /** Path of a Unix socket to listen on besides. */
  readonly unix?: string | undefined
  /** Permissions of that socket, such as 0o660. */
  readonly unixMode?: number | undefined
  /** Connections that the system holds until they are accepted. Default 511. */
  readonly backlog?: number | undefined
  /** Shares the port with other processes that ask for it, too (SO_REUSEPORT). */
  readonly reusePort?: boolean | undefined
  /** Connections at a time; more wait, unread, until one ends, and more than `backlog` of these are closed. Default 10,000. */
  readonly maxConnections?: number | undefined
  readonly life?: ConnectionLife.Options | undefined
  readonly tls?: Tls.ServerOptions | undefined
  /** How long calls in flight may go on after the scope has closed. Default 10 seconds. */
  readonly drainTimeout?: Duration.Input | undefined
  /** How long streams in flight may. Default 5 seconds. */
  readonly streamGrace?: Duration.Input | undefined
  /** Ends calls in flight with an answer, only streams or all of them; returns how many there were. */
  readonly leave?: ((which: "streams" | "all") => number) | undefined
  /** Says how far the end has come. */
  readonly onStep?: ((step: "draining" | "closing", message: string) => Effect.Effect<void>) | undefined
  readonly http2?: Http2Options | undefined
  readonly timers: DeadlineTimers
  /** What the fields of a gRPC call say of its origin. */
  readonly originOf?: ((origin: Origin, fields: ReadonlyArray<string>) => Origin) | undefined
}

/** Time a client has to send the first bytes, in milliseconds. */
const FIRST_BYTES = 10_000
/** Bytes of HTTP/2's preface (RFC 9113, section 3.4): a client that begins it ends it in the same time. */
const PREFACE = 24
/** Time an HTTP/1.1 connection may be idle, in milliseconds: more than the minute that proxies are used to. */
const KEEP_ALIVE = 65_000
/** Connections that the system holds until they are accepted, and as many again that wait for others to end. */
const BACKLOG = 511
const MAX_CONNECTIONS = 10_000
/** Time for the answers of calls that are ended when the drain timeout is over. */
const LAST_WORDS = "1 second"
/** Largest header section of HTTP/1.1, in bytes. */
const MAX_HEADER = 65_536

/** Listens until the scope closes, then drains. Returns the bound address. */
export const serve = Effect.fnUntraced(function* (
  handlers: Handlers,
  options: Options
): Effect.fn.Return<Address, ListenError | Tls.TlsError, Scope.Scope> {
  const network = yield* Network
  const random = yield* Random.Random
  const report = Effect.runForkWith(yield* Effect.context<never>())
  const {
    backlog = BACKLOG,
    drainTimeout = "10 seconds",
    maxConnections = MAX_CONNECTIONS,
    originOf,
    streamGrace = "5 seconds",
    timers
  } = options
  const { leave = () => 0, onStep = () => Effect.void } = options
  const life = ConnectionLife.resolve(options.life ?? {})
  const admission = new Admission({
    most: maxConnections,
    mostWaiting: backlog,
    onFull: () => void report(Effect.logWarning(`${maxConnections} connections are open, the next ones wait`))
  })
  const silent = new Set<Duplex>()
  const open = new Set<Duplex>()
  const http2 = new Set<ServerConnection.ServerConnection>()
  const empty = yield* Latch.make(true)
  let endpoint = ""
  let closing = false
  const keepAliveTimeout = Math.min(KEEP_ALIVE, life.maxIdle || KEEP_ALIVE)
  const http1 = Http1.make(handlers.http, { maxHeaderBytes: MAX_HEADER, headersTimeout: 60_000, keepAliveTimeout, timers })
  const http1Fast = Http1Fast.make({
    handler: handlers.http,
    eligible: handlers.whole ?? (() => false),
    handOff: http1.accept,
    timers,
    keepAliveTimeout,
    maxHeaderBytes: MAX_HEADER
  })

  const serveHttp2 = (duplex: Duplex, origin: Origin, preface: Uint8Array | undefined): ServerConnection.ServerConnection => {
    const connection = ServerConnection.make(duplex, {
      ...life.http2,
      now: timers.now,
      after,
      ...options.http2,
      preface,
      recycle: duplex instanceof net.Socket,
      onStream: (stream, headers, endStream) => {
        if (GrpcServer.isGrpc(headers.get("content-type")))
          return GrpcServer.accept(handlers.grpc, stream, headers, endStream, originOf?.(origin, headers.fields) ?? origin)
        const exchange = new Http2Exchange(stream, headers, endStream, origin)
        handlers.http(exchange)
        return exchange
      },
      onClose: () => void http2.delete(connection)
    })
    // the engine copies what it keeps, and so do its listeners
    if (duplex instanceof net.Socket) SharedRead.enable(duplex)
    http2.add(connection)
    return connection
  }
  const after = EngineTimers.after(timers)

  const accept = ({ duplex, peer, tls }: Accepted): void => {
    if (closing) return void duplex.destroy()
    const origin: Origin = { address: peer, endpoint, identity: tls?.identity }
    open.add(duplex)
    empty.closeUnsafe()
    duplex.once("close", () => {
      open.delete(duplex)
      if (open.size === 0) empty.openUnsafe()
    })
    // Only a client that asked for HTTP/2 by name gets it without proof; one that asked for nothing may still begin with the preface.
    if (tls?.protocol === "h2") return age(duplex, serveHttp2(duplex, origin, undefined))
    sniff(duplex, silent, timers, (first, isHttp2) => {
      if (isHttp2) return age(duplex, serveHttp2(duplex, origin, first))
      const http1Life = { retired: false, served: false }
      age(duplex, { shutdown: () => (http1Life.retired = true), close: () => duplex.destroy() })
      http1Fast.accept(duplex, origin, first, http1Life)
    })
  }

  const age = (duplex: Duplex, aging: ConnectionLife.Aging): void => ConnectionLife.age(life, duplex, aging, timers, random)

  // Closed last to first: `listen` below is released before this drains.
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      closing = true
      admission.close()
      for (const duplex of silent) duplex.destroy()
      for (const connection of http2) connection.shutdown()
      http1.shutdown()
      http1Fast.shutdown()
      yield* onStep("draining", `${endpoint} accepts nothing new; ${open.size} connections are open, ${http2.size} of them HTTP/2`)
      const limit = Duration.fromInputUnsafe(streamGrace)
      const grace = Duration.isFinite(limit) ? Duration.toMillis(limit) : undefined
      const timer = grace === undefined ? undefined : timers.add(timers.now() + grace, () => void leave("streams"))
      const isEmpty = empty.await.pipe(Effect.timeoutOption(drainTimeout), Effect.map(Option.isSome))
      if (!(yield* isEmpty)) {
        yield* Effect.logWarning(`${endpoint}: ${open.size} connections did not end within the drain timeout`)
        // every call that was accepted gets an answer, where its client still reads
        if (leave("all") > 0) yield* Effect.timeoutOption(empty.await, LAST_WORDS)
      }
      if (timer !== undefined) timers.remove(timer)
      yield* onStep("closing", `${endpoint} closes${open.size === 0 ? "" : `, ${open.size} connections are cut off`}`)
      http1.destroy()
      for (const duplex of open) duplex.destroy()
    })
  )
  const tls =
    options.tls === undefined
      ? undefined
      : {
          source: yield* Tls.load(options.tls),
          clientAuth: options.tls.clientAuth ?? "none",
          handshakeTimeout: ConnectionLife.millis(options.tls.handshakeTimeout ?? "10 seconds")
        }
  const { host, port, reusePort, unix, unixMode } = options
  const address = yield* network.listen({ host, port, tls, backlog, reusePort, admission }, accept)
  endpoint = `${tls === undefined ? "http" : "https"}://${format(address.host, address.port)}`
  // A Unix socket is guarded by the file system, not by TLS.
  if (unix !== undefined) yield* network.listen({ host: "localhost", port: 0, path: unix, mode: unixMode, backlog, admission }, accept)
  return address
})

/** Reads until the protocol is known. No method of HTTP/1.1 begins like the preface of HTTP/2. */
const sniff = (duplex: Duplex, silent: Set<Duplex>, timers: DeadlineTimers, decide: (first: Buffer, isHttp2: boolean) => void): void => {
  let seen: Buffer | undefined
  silent.add(duplex)
  const timer = timers.add(timers.now() + FIRST_BYTES, () => duplex.destroy())
  const onReadable = (): void => {
    const chunk = duplex.read() as Buffer | null // no encoding is set on it
    if (chunk === null) return
    seen = seen === undefined ? chunk : Buffer.concat([seen, chunk])
    const isHttp2 = seen[0] === 0x50 && (seen.length < 2 || seen[1] === 0x52) && (seen.length < 3 || seen[2] === 0x49)
    if (isHttp2 && seen.length < PREFACE) return
    stop()
    decide(seen, isHttp2)
  }
  const stop = (): void => {
    timers.remove(timer)
    silent.delete(duplex)
    duplex.removeListener("readable", onReadable)
    duplex.removeListener("close", stop)
    duplex.removeListener("error", ignore)
  }
  duplex.on("readable", onReadable)
  duplex.once("close", stop)
  duplex.on("error", ignore)
}

// A reset before the first bytes; "close" follows.
const ignore = (): void => {}
