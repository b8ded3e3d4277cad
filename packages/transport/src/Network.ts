/**
 * Where bytes come from: listening and connecting, behind a reference whose default is the machine's network. Tests put a network in memory
 * in its place and keep everything above it, both HTTP/2 engines included.
 */
import type * as Context from "effect/Context"
import { Reference } from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { PeerIdentity } from "@effect-kratos/core/Call"
import * as net from "node:net"
import { Duplex } from "node:stream"
import * as tls from "node:tls"
import * as MemoryDuplex from "./MemoryDuplex.ts"
import * as NetworkError from "./NetworkError.ts"
import * as Tls from "./Tls.ts"

export interface Address {
  readonly host: string
  readonly port: number
  /** A Unix socket, in place of host and port. */
  readonly path?: string | undefined
}

/** A connection, with the address of its other end as `host:port`. */
export interface Accepted {
  readonly duplex: Duplex
  readonly peer: string
  /** What TLS has settled; undefined in clear text. */
  readonly tls?: { readonly protocol: string | undefined; readonly identity: PeerIdentity | undefined } | undefined
}

export interface ListenOptions extends Address {
  readonly tls?: { readonly source: Tls.Source; readonly clientAuth: "none" | "request" | "require" } | undefined
}

export interface ConnectOptions extends Address {
  readonly tls?:
    | {
        readonly source: Tls.Source
        readonly serverName: string | undefined
        /** What to speak, by ALPN. Default HTTP/2. */
        readonly protocol?: "h2" | "http/1.1" | undefined
      }
    | undefined
}

export interface NetworkShape {
  /** Listens until the scope closes; port 0 takes a free one. The returned address is the one that was bound. */
  readonly listen: (
    options: ListenOptions,
    onConnection: (accepted: Accepted) => void
  ) => Effect.Effect<Address, NetworkError.ListenError, Scope.Scope>
  /** Connects, TLS handshake included; the caller owns the duplex. */
  readonly connect: (options: ConnectOptions) => Effect.Effect<Duplex, NetworkError.ConnectError>
}

/** Time for a TLS handshake, in milliseconds. */
const HANDSHAKE = 10_000
/** What we speak, best first. */
const PROTOCOLS = ["h2", "http/1.1"]

const listen: NetworkShape["listen"] = (options, onConnection) =>
  Effect.acquireRelease(
    Effect.callback<net.Server, NetworkError.ListenError>((resume) => {
      const server = options.tls === undefined ? listenPlain(onConnection) : listenTls(options.tls, onConnection)
      const where = text(options)
      server.once("error", (cause) =>
        resume(
          Effect.fail(
            new NetworkError.ListenError({
              host: options.host,
              port: options.port,
              message: `cannot listen on ${where}: ${why(cause)}`,
              cause
            })
          )
        )
      )
      const listening = () => resume(Effect.succeed(server))
      if (options.path === undefined) server.listen(options.port, options.host, listening)
      else server.listen(options.path, listening)
    }),
    // Connections that were accepted are the server's to drain; `close` only stops accepting.
    (server) => Effect.sync(() => void server.close())
  ).pipe(
    Effect.map((server) => {
      const bound = server.address()
      return { host: options.host, port: typeof bound === "object" && bound !== null ? bound.port : options.port }
    })
  )

const listenPlain = (onConnection: (accepted: Accepted) => void): net.Server =>
  net.createServer({ noDelay: true }, (socket) => onConnection({ duplex: socket, peer: peerOf(socket) }))

const listenTls = ({ clientAuth, source }: NonNullable<ListenOptions["tls"]>, onConnection: (accepted: Accepted) => void): net.Server => {
  const server = tls.createServer(
    {
      ...source.current(),
      ALPNProtocols: PROTOCOLS,
      handshakeTimeout: HANDSHAKE,
      noDelay: true,
      requestCert: clientAuth !== "none",
      rejectUnauthorized: clientAuth === "require"
    },
    (socket) =>
      onConnection({
        duplex: socket,
        peer: peerOf(socket),
        tls: { protocol: socket.alpnProtocol === false ? undefined : (socket.alpnProtocol ?? undefined), identity: Tls.identityOf(socket) }
      })
  )
  // a handshake that fails concerns only its own connection, which Node has closed
  server.on("tlsClientError", () => {})
  source.onChange((material) => server.setSecureContext(material))
  return server
}

const peerOf = (socket: net.Socket): string =>
  socket.remoteAddress === undefined ? "unix" : format(socket.remoteAddress, socket.remotePort ?? 0)

const connect: NetworkShape["connect"] = (options) =>
  Effect.callback((resume) => {
    const { host, path, port } = options
    const to = path === undefined ? { host, port, noDelay: true, autoSelectFamily: true } : { path }
    const serverName = options.tls?.serverName ?? (net.isIP(host) === 0 ? host : undefined)
    const socket =
      options.tls === undefined
        ? net.connect(to)
        : tls.connect({
            ...to,
            ...options.tls.source.current(),
            ...(serverName === undefined ? undefined : { servername: serverName }),
            ALPNProtocols: [options.tls.protocol ?? "h2"]
          })
    const fail = (cause: Error) =>
      resume(
        Effect.fail(new NetworkError.ConnectError({ host, port, message: `cannot connect to ${text(options)}: ${why(cause)}`, cause }))
      )
    socket.once("error", fail)
    socket.once(options.tls === undefined ? "connect" : "secureConnect", () => {
      socket.removeListener("error", fail)
      resume(Effect.succeed(socket))
    })
    return Effect.sync(() => void socket.destroy())
  })

const WHY: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "this machine has no such address",
  ECONNREFUSED: "connection refused",
  EHOSTUNREACH: "host unreachable",
  ENOENT: "no such socket",
  ENOTFOUND: "no such host",
  ETIMEDOUT: "timed out"
}

/** What the system says, in words. */
const why = (cause: Error & { readonly code?: string }): string => WHY[cause.code ?? ""] ?? cause.code ?? cause.message

/** The address as text: `host:port`, or the path of a Unix socket. */
export const text = (address: Address): string => address.path ?? format(address.host, address.port)

/** `host:port`, with IPv6 addresses in brackets. */
export const format = (host: string, port: number): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)

export const Network: Context.Reference<NetworkShape> = Reference<NetworkShape>("@effect-kratos/transport/Network", {
  defaultValue: () => ({ listen, connect })
})

/** A network in memory: a world of its own in which `host:port` of a listener is found by a connect to the same text. */
export const makeMemory = (): NetworkShape => {
  const listeners = new Map<string, (accepted: Accepted) => void>()
  let ports = 40_000
  return {
    listen: (address, onConnection) => {
      const bound = { host: address.host, port: address.port === 0 ? ++ports : address.port }
      const key = address.path ?? format(bound.host, bound.port)
      return Effect.acquireRelease(
        Effect.suspend(() => {
          if (listeners.has(key))
            return Effect.fail(new NetworkError.ListenError({ ...bound, message: `${key} is taken`, cause: undefined }))
          listeners.set(key, onConnection)
          return Effect.succeed(bound)
        }),
        () => Effect.sync(() => void listeners.delete(key))
      )
    },
    connect: (address) =>
      Effect.suspend(() => {
        const key = text(address)
        const accept = listeners.get(key)
        if (accept === undefined)
          return Effect.fail(
            new NetworkError.ConnectError({
              host: address.host,
              port: address.port,
              message: `nothing listens on ${key}`,
              cause: undefined
            })
          )
        const [client, server] = MemoryDuplex.make()
        accept({ duplex: server, peer: `memory:${++ports}` })
        return Effect.succeed(client)
      })
  }
}

/** Replaces the network by one in memory, the same for all who share the layer in one build. */
export const layerMemory: Layer.Layer<never> = Layer.effect(Network, Effect.sync(makeMemory))
