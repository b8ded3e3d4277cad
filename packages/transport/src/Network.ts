/**
 * Where bytes come from: listening and connecting, behind a reference whose default is the machine's network. Tests put a network in memory
 * in its place and keep everything above it, both HTTP/2 engines included.
 */
import type * as Context from "effect/Context"
import { Reference } from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
import { Duplex, duplexPair } from "node:stream"
import * as NetworkError from "./NetworkError.ts"

export interface Address {
  readonly host: string
  readonly port: number
}

/** A connection, with the address of its other end as `host:port`. */
export interface Accepted {
  readonly duplex: Duplex
  readonly peer: string
}

export interface NetworkShape {
  /** Listens until the scope closes; port 0 takes a free one. The returned address is the one that was bound. */
  readonly listen: (
    address: Address,
    onConnection: (accepted: Accepted) => void
  ) => Effect.Effect<Address, NetworkError.ListenError, Scope.Scope>
  /** Connects; the caller owns the duplex. */
  readonly connect: (address: Address) => Effect.Effect<Duplex, NetworkError.ConnectError>
}

const listen: NetworkShape["listen"] = (address, onConnection) =>
  Effect.acquireRelease(
    Effect.callback<net.Server, NetworkError.ListenError>((resume) => {
      const server = net.createServer({ noDelay: true }, (socket) =>
        onConnection({ duplex: socket, peer: format(socket.remoteAddress ?? "", socket.remotePort ?? 0) })
      )
      server.once("error", (cause) =>
        resume(
          Effect.fail(
            new NetworkError.ListenError({ ...address, message: `cannot listen on ${format(address.host, address.port)}`, cause })
          )
        )
      )
      server.listen(address.port, address.host, () => resume(Effect.succeed(server)))
    }),
    // Connections that were accepted are the server's to drain; `close` only stops accepting.
    (server) => Effect.sync(() => void server.close())
  ).pipe(
    Effect.map((server) => {
      const bound = server.address()
      return { host: address.host, port: typeof bound === "object" && bound !== null ? bound.port : address.port }
    })
  )

const connect: NetworkShape["connect"] = (address) =>
  Effect.callback((resume) => {
    const socket = net.connect({ host: address.host, port: address.port, noDelay: true, autoSelectFamily: true })
    const onError = (cause: Error) =>
      resume(
        Effect.fail(
          new NetworkError.ConnectError({ ...address, message: `cannot connect to ${format(address.host, address.port)}`, cause })
        )
      )
    socket.once("error", onError)
    socket.once("connect", () => {
      socket.removeListener("error", onError)
      resume(Effect.succeed(socket))
    })
    return Effect.sync(() => void socket.destroy())
  })

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
      const key = format(bound.host, bound.port)
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
        const key = format(address.host, address.port)
        const accept = listeners.get(key)
        if (accept === undefined)
          return Effect.fail(new NetworkError.ConnectError({ ...address, message: `nothing listens on ${key}`, cause: undefined }))
        const [client, server] = duplexPair()
        accept({ duplex: server, peer: `memory:${++ports}` })
        return Effect.succeed(client)
      })
  }
}

/** Replaces the network by one in memory, the same for all who share the layer in one build. */
export const layerMemory: Layer.Layer<never> = Layer.effect(Network, Effect.sync(makeMemory))
