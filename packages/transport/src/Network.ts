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
import type { Admission } from "./Admission.ts"
import { format, text } from "./AddressText.ts"
import * as HappyEyeballs from "./HappyEyeballs.ts"
import { listen } from "./Listening.ts"
import * as MemoryDuplex from "./MemoryDuplex.ts"
import * as NetworkError from "./NetworkError.ts"
import type * as Tls from "./Tls.ts"

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
  readonly tls?:
    | {
        readonly source: Tls.Source
        readonly clientAuth: "none" | "request" | "require"
        /** Time for a handshake, in milliseconds. Default 10 000. */
        readonly handshakeTimeout?: number | undefined
      }
    | undefined
  /** Connections that the system holds until they are accepted. Default 511. */
  readonly backlog?: number | undefined
  /** Shares the port with others that ask for it, by SO_REUSEPORT. */
  readonly reusePort?: boolean | undefined
  /** Permissions of a Unix socket, such as 0o660. Default: what the umask leaves. */
  readonly mode?: number | undefined
  /** Who counts the connections. */
  readonly admission?: Admission | undefined
}

export interface ConnectOptions extends Address {
  /** Looks host names up. Default `dns.lookup`. */
  readonly lookup?: net.LookupFunction | undefined
  readonly tls?:
    | {
        readonly source: Tls.Source
        readonly serverName: string | undefined
        /** Where sessions are kept, so that the next handshake is a short one. */
        readonly session?: Tls.ClientSession | undefined
        /** What to speak, by ALPN; `none` asks for nothing. Default HTTP/2. */
        readonly protocol?: "h2" | "http/1.1" | "none" | undefined
      }
    | undefined
}

export interface NetworkShape {
  /** Listens until the scope closes; port 0 takes a free one. A Unix socket whose process has died is replaced. The returned address is the one that was bound. */
  readonly listen: (
    options: ListenOptions,
    onConnection: (accepted: Accepted) => void
  ) => Effect.Effect<Address, NetworkError.ListenError, Scope.Scope>
  /** Connects, TLS handshake included, for as long as it takes; the caller owns the duplex. */
  readonly connect: (options: ConnectOptions) => Effect.Effect<Duplex, NetworkError.ConnectError>
}

const connect: NetworkShape["connect"] = (options) => {
  const { path, tls } = options
  const open = path === undefined ? HappyEyeballs.connect(options) : HappyEyeballs.dial(options, { path })
  return tls === undefined
    ? open
    : Effect.uninterruptibleMask((restore) => Effect.flatMap(restore(open), (socket) => restore(secure(socket, options, tls))))
}

/** TLS over a connection that is there. The handshake owns the socket: it ends with it when it fails or is interrupted. */
const secure = (
  socket: net.Socket,
  options: ConnectOptions,
  { protocol = "h2", serverName, session, source }: NonNullable<ConnectOptions["tls"]>
): Effect.Effect<Duplex, NetworkError.ConnectError> =>
  Effect.callback((resume) => {
    const material = source.current()
    const name = serverName ?? (net.isIP(options.host) === 0 ? options.host : undefined)
    const secured = tls.connect({
      ...material,
      socket,
      host: options.host,
      ...(name === undefined ? undefined : { servername: name }),
      session: session?.resume(material),
      ...(protocol === "none" ? undefined : { ALPNProtocols: [protocol] })
    })
    const fail = (cause: Error) => resume(Effect.fail(NetworkError.connect(options, text(options), cause)))
    // stays: between here and the owner nobody else listens
    secured.on("error", fail)
    // a server that ends the connection inside the handshake may do so without an error
    const end = () => fail(new Error("the server ended the connection in the handshake"))
    secured.once("close", end)
    // TLS 1.3 sends tickets when it likes, and more than one
    if (session !== undefined) secured.on("session", (ticket) => session.keep(material, ticket))
    secured.once("secureConnect", () => {
      secured.removeListener("close", end)
      // what HTTP/1.1 servers know of ALPN is not our concern
      if (protocol === "h2" && secured.alpnProtocol !== "h2") {
        secured.destroy()
        return resume(Effect.fail(NetworkError.notHttp2(options, text(options), secured.alpnProtocol)))
      }
      resume(Effect.succeed(secured))
    })
    return Effect.sync(() => void secured.destroy())
  })

export { format, text }

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
          const { admission } = address
          listeners.set(key, (accepted) => {
            if (admission === undefined) onConnection(accepted)
            else admission.enter(accepted.duplex, () => onConnection(accepted))
          })
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
              reason: "Refused",
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
