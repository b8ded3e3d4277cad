/**
 * The client path to one target: its nodes and their connections. A call takes the connection of the next node in turn; a node that cannot be
 * reached is passed over for the others. Connections are made when a call needs them and shared by all calls to a node.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as ClientConnection from "@effect-kratos/http2/ClientConnection"
import type { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import type { Stream as H2Stream, StreamListener } from "@effect-kratos/http2/Stream"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { Socket } from "node:net"
import type { DeadlineTimers } from "./DeadlineTimers.ts"
import * as GrpcError from "./grpc/GrpcError.ts"
import { type Address, type ConnectOptions, Network, type NetworkShape, text } from "./Network.ts"
import * as Resolver from "./Resolver.ts"

export interface Channel {
  readonly target: string
  readonly timers: DeadlineTimers
  /** A usable connection when there is one that needs no waiting. */
  readonly ready: () => Connection | undefined
  /** A usable connection: waits for the first list of nodes and connects if it must. Fails with 503 when no node can be reached. */
  readonly connection: Effect.Effect<Connection, KratosError.KratosError>
}

type Tls = ConnectOptions["tls"]

/** One connection as calls see it. */
export interface Connection {
  readonly address: string
  readonly authority: string
  readonly scheme: "http" | "https"
  readonly usable: () => boolean
  /** Opens a stream; undefined when the connection takes no more at present. */
  readonly request: (block: HeaderBlock, listener: StreamListener, body: Uint8Array | undefined, endStream: boolean) => H2Stream | undefined
  /** Completes when it is worth trying `request` again, on this connection or another. */
  readonly available: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (
  target: string,
  nodes: Resolver.Nodes,
  timers: DeadlineTimers,
  tls?: Tls
): Effect.fn.Return<Channel, never, Scope.Scope> {
  const network = yield* Network
  const followed = yield* Resolver.follow(
    target,
    nodes,
    (address) => new Node(address, tls, network),
    (node) => node.retire()
  )

  const connection: Channel["connection"] = Effect.gen(function* () {
    let last: KratosError.KratosError | undefined
    for (const node of yield* followed.all) {
      const exit = yield* Effect.exit(node.acquire)
      if (Exit.isSuccess(exit)) return exit.value
      last = KratosError.fromCause(exit.cause)
    }
    return yield* Effect.fail(last!) // there was at least one node
  })

  return {
    target,
    timers,
    ready: () => {
      const current = followed.next()?.current
      if (current?.usable() !== true) return undefined
      followed.advance()
      return current
    },
    connection
  }
})

/** A node and its connection, if it has one. */
class Node {
  readonly address: string
  current: Connection | undefined = undefined
  private connecting: Deferred.Deferred<Connection, KratosError.KratosError> | undefined = undefined
  private engine: ClientConnection.ClientConnection | undefined = undefined
  private retired = false
  private readonly to: ConnectOptions
  private readonly network: NetworkShape

  constructor(to: Address, tls: Tls, network: NetworkShape) {
    this.address = text(to)
    this.to = { ...to, tls }
    this.network = network
  }

  /** The connection; calls that come while it is being made wait for the same one. */
  readonly acquire: Effect.Effect<Connection, KratosError.KratosError> = Effect.suspend(() => {
    if (this.current?.usable() === true) return Effect.succeed(this.current)
    if (this.connecting !== undefined) return Deferred.await(this.connecting)
    const deferred = Deferred.makeUnsafe<Connection, KratosError.KratosError>()
    this.connecting = deferred
    // In a fiber of its own, so that the call that happens to be first can be cancelled without the others.
    return Effect.andThen(
      Effect.forkDetach(
        Effect.onExit(this.connect, (exit) =>
          Effect.suspend(() => {
            this.connecting = undefined
            return Deferred.done(deferred, exit)
          })
        )
      ),
      Deferred.await(deferred)
    )
  })

  private readonly connect: Effect.Effect<Connection, KratosError.KratosError> = Effect.suspend(() =>
    this.network.connect(this.to).pipe(
      Effect.timeoutOrElse({
        duration: "20 seconds",
        orElse: () => Effect.fail(GrpcError.unavailable(`connecting to ${this.address} took more than 20 seconds`))
      }),
      Effect.mapError((error) => (error instanceof KratosError.KratosError ? error : GrpcError.unavailable(error.message, error))),
      Effect.map((duplex) => {
        const waiting = new Set<() => void>()
        const wake = (): void => {
          // A call that is resumed tries at once; if it waits again, it was one too many, and the rest need not try.
          for (const resume of waiting) {
            const before = waiting.size
            waiting.delete(resume)
            resume()
            if (waiting.size >= before) break
          }
        }
        const engine = ClientConnection.make(duplex, {
          recycle: duplex instanceof Socket,
          onAvailable: wake,
          onClose: wake,
          onGoAway: wake
        })
        this.engine = engine
        const usable = () => !engine.closed && !engine.closing
        this.current = {
          address: this.address,
          // a path is no authority
          authority: this.to.path === undefined ? this.address : "localhost",
          scheme: this.to.tls === undefined ? "http" : "https",
          usable,
          request: (block, listener, body, endStream) => engine.request(block, listener, body, endStream),
          available: Effect.callback((resume) => {
            if (!usable()) return resume(Effect.void)
            const wait = () => resume(Effect.void)
            waiting.add(wait)
            return Effect.sync(() => waiting.delete(wait))
          })
        }
        if (this.retired) this.retire()
        return this.current
      })
    )
  )

  /** Ends the connection once its calls have ended; the node is not used again. */
  retire(): void {
    this.retired = true
    this.engine?.shutdown()
  }
}
