/**
 * The nodes of a target as REST calls use them: HTTP/1.1, which is what Kratos' HTTP servers speak in clear text, with connections that are kept and used
 * again. Calls take the nodes in turn.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as http from "node:http"
import * as net from "node:net"
import type { Duplex } from "node:stream"
import * as ConnectionOptions from "../channel/ConnectionOptions.ts"
import type { DeadlineTimers } from "../DeadlineTimers.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import { type Address, type ConnectOptions, Network, text } from "../Network.ts"
import * as NetworkError from "../NetworkError.ts"
import * as Resolver from "../Resolver.ts"
import * as Tls from "../Tls.ts"

export interface Nodes {
  readonly target: string
  readonly timers: DeadlineTimers
  /** All nodes, beginning with the one whose turn it is; at least one. Waits for the first list. */
  readonly pick: Effect.Effect<ReadonlyArray<Node>, KratosError.KratosError>
}

export interface Node {
  readonly address: string
  readonly authority: string
  /** A new connection. */
  readonly connect: Effect.Effect<Duplex, KratosError.KratosError>
  /** Keeps connections. */
  readonly agent: NodeAgent
}

/** How long an idle connection is kept, in milliseconds, unless its server says less. */
const IDLE = 30_000

export const make = Effect.fnUntraced(function* (
  target: string,
  nodes: Resolver.Nodes,
  timers: DeadlineTimers,
  tls?: ConnectOptions["tls"]
): Effect.fn.Return<Nodes, never, Scope.Scope> {
  const network = yield* Network
  const { connectTimeout, lookup } = ConnectionOptions.resolve(yield* ConnectionOptions.Current)
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const open = (address: Address): Node => {
    const name = text(address)
    const session = new Tls.ClientSession()
    const connect = network.connect({ ...address, lookup, tls: tls && { ...tls, session, protocol: "http/1.1" } }).pipe(
      Effect.timeoutOrElse({
        duration: connectTimeout,
        orElse: () => Effect.fail(NetworkError.tooLate(address, name, connectTimeout))
      }),
      Effect.mapError(GrpcError.unreachable)
    )
    const agent = new NodeAgent((done) => {
      run(connect).addObserver((exit) =>
        exit._tag === "Success" ? done(null, exit.value) : done(new NotConnected(KratosError.fromCause(exit.cause)), undefined)
      )
    })
    // a path is no authority
    return { address: name, authority: address.path === undefined ? name : "localhost", connect, agent }
  }
  const followed = yield* Resolver.follow(target, nodes, open, ({ agent }) => agent.destroy())
  return { target, timers, pick: followed.all }
})

/** A request that was not sent, because there is no connection. */
export class NotConnected extends Error {
  readonly failure: KratosError.KratosError

  constructor(failure: KratosError.KratosError) {
    super(failure.message)
    this.failure = failure
  }
}

type Done = (error: Error | null, duplex: Duplex | undefined) => void

/** Node's agent over connections of our own making, which need not be sockets. */
export class NodeAgent extends http.Agent {
  private readonly open: (done: Done) => void
  private idle = IDLE

  constructor(open: (done: Done) => void) {
    super({ keepAlive: true, scheduling: "lifo" })
    this.open = open
  }

  /** What the server says in `keep-alive` of how long it keeps idle connections; ours go a second earlier. */
  hear(keepAlive: string): void {
    const seconds = /(?:^|[,\s])timeout=(\d{1,6})/.exec(keepAlive)?.[1]
    if (seconds !== undefined) this.idle = Math.min(IDLE, Math.max(1, Number(seconds) * 1000 - 1000))
  }

  // Node takes no connection together with an error; its types ask for one
  override createConnection(_: http.ClientRequestArgs, done: (error: Error | null, duplex: Duplex) => void): undefined {
    this.open(done as Done)
  }

  override getName(): string {
    return ""
  }

  override keepSocketAlive(duplex: Duplex): boolean {
    if (!(duplex instanceof net.Socket)) return true
    const kept = super.keepSocketAlive(duplex) as unknown as boolean // what it returns is not in its types
    // the agent closes idle sockets that say "timeout"
    duplex.setTimeout(this.idle)
    return kept
  }

  override reuseSocket(duplex: Duplex, request: http.ClientRequest): void {
    if (!(duplex instanceof net.Socket)) return void (request.reusedSocket = true)
    duplex.setTimeout(0)
    super.reuseSocket(duplex, request)
  }
}
