/**
 * The nodes of a target as REST calls use them: HTTP/1.1, which is what Kratos' HTTP servers speak in clear text, with connections that are kept and used
 * again. A selector gives each call its node; one that refused a connection is left alone for a while, as long as there are others.
 */
import type { CallShape } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { Member } from "@effect-kratos/core/selector/Member"
import * as Selector from "@effect-kratos/core/selector/Selector"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as http from "node:http"
import * as net from "node:net"
import type { Duplex } from "node:stream"
import * as Backoff from "../channel/Backoff.ts"
import * as ConnectionOptions from "../channel/ConnectionOptions.ts"
import type { DeadlineTimers } from "../DeadlineTimers.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import { type ConnectOptions, Network } from "../Network.ts"
import * as NetworkError from "../NetworkError.ts"
import * as Resolver from "../Resolver.ts"
import * as Tls from "../Tls.ts"

export interface Nodes {
  readonly target: string
  readonly timers: DeadlineTimers
  /** The node of a call, and after it those to try when it cannot be reached; at least one. Waits for the first list. */
  readonly pick: (call: CallShape) => Effect.Effect<ReadonlyArray<Node>, KratosError.KratosError>
}

export interface Node {
  readonly address: string
  readonly authority: string
  /** A call is sent to it: the attempt must be ended. */
  readonly begin: (call: CallShape) => Selector.Try<unknown>
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
  const options = yield* ConnectionOptions.Current
  const { backoff, connectTimeout, lookup } = ConnectionOptions.resolve(options)
  const random = yield* Random.Random
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const selector = yield* Selector.make<Known>(
    { target, isReady: () => true, onChange: () => {} },
    ConnectionOptions.selectorOf(options, target)
  )
  /** Nodes that refused a connection. */
  const away = new Set<Known>()

  const open = ({ address, node }: Resolver.Listed): Known => {
    const session = new Tls.ClientSession()
    const connect = network.connect({ ...address, lookup, tls: tls && { ...tls, session, protocol: "http/1.1" } }).pipe(
      Effect.timeoutOrElse({
        duration: connectTimeout,
        orElse: () => Effect.fail(NetworkError.tooLate(address, node.address, connectTimeout))
      }),
      Effect.mapError(GrpcError.unreachable),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (exit._tag === "Success") known.reached()
          else if (!Cause.hasInterrupts(exit.cause)) known.refused()
        })
      )
    )
    const agent = new NodeAgent((done) => {
      run(connect).addObserver((exit) =>
        exit._tag === "Success" ? done(null, exit.value) : done(new NotConnected(KratosError.fromCause(exit.cause)), undefined)
      )
    })
    let failures = 0
    const known: Known = {
      address: node.address,
      // a path is no authority
      authority: address.path === undefined ? node.address : "localhost",
      connect,
      agent,
      begin: (call) => selector.begin(known.member, call),
      retryAt: 0,
      member: undefined as never, // set below, before anyone sees it
      reached: () => {
        failures = 0
        away.delete(known)
        selector.setHealth(known.member, "up")
      },
      refused: () => {
        known.retryAt = timers.now() + Backoff.delay(backoff, ++failures, random.nextDoubleUnsafe())
        away.add(known)
        selector.setHealth(known.member, "down")
      }
    }
    known.member = selector.join(node, known)
    // connections are made when calls need them: until one is refused it can be reached
    selector.setHealth(known.member, "up")
    return known
  }
  const followed: Resolver.Followed<Known> = yield* Resolver.follow<Known>(
    target,
    nodes,
    open,
    (node) => {
      away.delete(node)
      selector.leave(node.member)
      node.agent.destroy()
    },
    () => selector.list(followed.list().map(({ member }) => member)),
    ({ member }, { node }) => member.relist(node)
  )

  /** Those that were left alone long enough may have a call again; when it fails to connect it goes on to the next. */
  const retry = (): void => {
    for (const node of away) {
      if (timers.now() < node.retryAt) continue
      away.delete(node)
      selector.setHealth(node.member, "up")
    }
  }
  const pick = (call: CallShape): Effect.Effect<ReadonlyArray<Node>, KratosError.KratosError> =>
    Effect.flatMap(followed.all, () => {
      if (away.size > 0) retry()
      const chosen = selector.pick(call)
      if (chosen !== undefined) return Effect.succeed([chosen.value, ...selector.others(chosen, call).map(({ value }) => value)])
      if (selector.refusal !== undefined) return Effect.fail(selector.refusal)
      // none can be reached as far as is known: they are all tried
      const rest = selector.others(undefined, call).map(({ value }) => value)
      return rest.length > 0 ? Effect.succeed(rest) : Effect.fail(busy(target))
    })
  return { target, timers, pick }
})

/** What is kept of a node beyond what calls see. */
interface Known extends Node {
  member: Member<Known>
  /** No call is sent there before, in milliseconds since the epoch, as long as there are others. */
  retryAt: number
  readonly reached: () => void
  readonly refused: () => void
}

/** Over HTTP/1.1 calls do not wait for a limit to have room. */
const busy = (target: string): KratosError.KratosError =>
  KratosError.serviceUnavailable("NODE_BUSY", `all nodes of ${target} have as many calls as they may have at a time`)

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
