/**
 * Listening on the machine's network: TCP with or without TLS, shared ports, Unix sockets. Connections are counted before their first byte is read,
 * so that handshakes count too.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as net from "node:net"
import * as tls from "node:tls"
import { format, text } from "./AddressText.ts"
import type { Accepted, Address, ListenOptions } from "./Network.ts"
import * as NetworkError from "./NetworkError.ts"
import * as Tls from "./Tls.ts"

/** Time for a TLS handshake, in milliseconds. */
const HANDSHAKE = 10_000
/** What we speak, best first. */
const PROTOCOLS = ["h2", "http/1.1"]

export const listen = (
  options: ListenOptions,
  onConnection: (accepted: Accepted) => void
): Effect.Effect<Address, NetworkError.ListenError, Scope.Scope> =>
  Effect.acquireRelease(
    bind(options, onConnection).pipe(
      Effect.catch((error) =>
        Effect.flatMap(removeStale(options, error), (removed) => (removed ? bind(options, onConnection) : Effect.fail(error)))
      ),
      Effect.tap(() => permit(options))
    ),
    // Connections that were accepted are the server's to drain; this only stops accepting.
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ address }) => address))

interface Bound {
  readonly address: Address
  readonly close: () => void
}

const bind = (options: ListenOptions, onConnection: (accepted: Accepted) => void): Effect.Effect<Bound, NetworkError.ListenError> =>
  Effect.callback((resume) => {
    const { backlog = 511, host, path, port, reusePort = false } = options
    if (reusePort && !knowsReusePort()) return resume(Effect.fail(failure(options, "this version of Node cannot share ports")))
    const serve = options.tls === undefined ? servePlain(onConnection) : serveTls(options.tls, onConnection)
    const enter = options.admission?.enter ?? ((_socket: net.Socket, admitted: () => void) => admitted())
    const server = net.createServer({ noDelay: true, pauseOnConnect: true }, (socket) => enter(socket, () => serve.accept(socket)))
    server.once("error", (cause) => resume(Effect.fail(failure(options, why(cause), cause))))
    // later ones concern a connection that could not be accepted, for want of file descriptors for example
    server.on("error", ignore)
    server.listen(path === undefined ? { port, host, backlog, reusePort } : { path, backlog }, () => {
      const bound = server.address()
      resume(
        Effect.succeed({
          address: { host, port: typeof bound === "object" && bound !== null ? bound.port : port },
          close: () => {
            server.close()
            serve.close()
          }
        })
      )
    })
  })

interface Serve {
  readonly accept: (socket: net.Socket) => void
  readonly close: () => void
}

const servePlain = (onConnection: (accepted: Accepted) => void): Serve => ({
  accept: (socket) => {
    // whoever takes it listens before anything can come
    socket.resume()
    onConnection({ duplex: socket, peer: peerOf(socket) })
  },
  close: () => {}
})

const serveTls = (
  { clientAuth, handshakeTimeout = HANDSHAKE, source }: NonNullable<ListenOptions["tls"]>,
  onConnection: (accepted: Accepted) => void
): Serve => {
  const shaking = new Map<string, net.Socket>()
  // It never listens itself: connections come to it once they are admitted.
  const server = tls.createServer(
    {
      ...source.current(),
      ALPNProtocols: PROTOCOLS,
      handshakeTimeout,
      requestCert: clientAuth !== "none",
      rejectUnauthorized: clientAuth === "require"
    },
    (socket) => {
      const peer = peerOf(socket)
      const protocol = socket.alpnProtocol === false ? undefined : (socket.alpnProtocol ?? undefined)
      shaking.delete(peer)
      onConnection({ duplex: socket, peer, tls: { protocol, identity: Tls.identityOf(socket) } })
    }
  )
  // a handshake that fails or takes too long concerns only its own connection, which Node leaves open
  server.on("tlsClientError", (_error, socket) => socket.destroy())
  source.onChange((material) => server.setSecureContext(material))
  return {
    accept: (socket) => {
      const peer = peerOf(socket)
      shaking.set(peer, socket)
      socket.once("close", () => {
        if (shaking.get(peer) === socket) shaking.delete(peer)
      })
      server.emit("connection", socket)
    },
    close: () => {
      for (const socket of shaking.values()) socket.destroy()
    }
  }
}

const peerOf = (socket: net.Socket): string =>
  socket.remoteAddress === undefined ? "unix" : format(socket.remoteAddress, socket.remotePort ?? 0)

/** Removes the file of a Unix socket on which nobody listens any more: the process that made it has died. Never one that is alive, or no socket. */
const removeStale = (options: ListenOptions, error: NetworkError.ListenError): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const { path } = options
    const done = (removed: boolean): void => resume(Effect.succeed(removed))
    if (path === undefined || codeOf(error.cause) !== "EADDRINUSE") return done(false)
    const probe = net.connect({ path })
    probe.once("connect", () => {
      probe.destroy()
      done(false)
    })
    probe.once("error", (cause) => {
      const code = codeOf(cause)
      if (code !== "ECONNREFUSED") return done(code === "ENOENT")
      try {
        if (!fs.lstatSync(path).isSocket()) return done(false)
        fs.unlinkSync(path)
        done(true)
      } catch {
        done(false)
      }
    })
  })

const permit = (options: ListenOptions): Effect.Effect<void, NetworkError.ListenError> => {
  const { mode, path } = options
  if (path === undefined || mode === undefined) return Effect.void
  return Effect.try({
    try: () => fs.chmodSync(path, mode),
    catch: (cause) => failure(options, cause instanceof Error ? why(cause) : String(cause), cause)
  })
}

/** `reusePort` came with Node 23.1 and 22.12; older ones would leave it out without a word. */
const knowsReusePort = (): boolean => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)
}

/** The code of an error of the system. */
const codeOf = (cause: unknown): unknown => (cause instanceof Error && "code" in cause ? cause.code : undefined)

/** What the system says, in words; where it means something else than it does of a connection. */
const WHY: Readonly<Record<string, string>> = {
  ENOENT: "no such directory",
  ENOTSUP: "this platform cannot share ports"
}

const why = (cause: Error & { readonly code?: string }): string => WHY[cause.code ?? ""] ?? NetworkError.why(cause)

const failure = (options: ListenOptions, reason: string, cause: unknown = undefined): NetworkError.ListenError =>
  new NetworkError.ListenError({
    host: options.host,
    port: options.port,
    message: `cannot listen on ${text(options)}: ${reason}`,
    cause
  })

const ignore = (): void => {}
