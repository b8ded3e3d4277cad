/**
 * A node: its connections, when to make another, and when to leave it alone. Connections are made when calls need them; the first one with room takes
 * a call, so that those which a peak needed fall idle after it.
 */
import type { CallShape } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { Member } from "@effect-kratos/core/selector/Member"
import type { Selector, Try } from "@effect-kratos/core/selector/Selector"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { DeadlineTimers } from "../DeadlineTimers.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import type { ConnectOptions, NetworkShape } from "../Network.ts"
import type { Listed } from "../Resolver.ts"
import * as Tls from "../Tls.ts"
import * as Backoff from "./Backoff.ts"
import type { Resolved } from "./ConnectionOptions.ts"
import type { NodeState, State } from "./Connectivity.ts"
import * as Dial from "./Dial.ts"
import { PooledConnection } from "./PooledConnection.ts"

/** What the nodes of a channel share. */
export interface Owner {
  readonly network: NetworkShape
  readonly timers: DeadlineTimers
  readonly options: Resolved
  readonly tls: ConnectOptions["tls"]
  readonly selector: Selector<Node>
  /** In [0, 1). */
  readonly random: () => number
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** Calls that wait may go on, or have nothing left to wait for. */
  readonly dispatch: () => void
  readonly onState: (node: Node, previous: State) => void
  /** What a node says of itself has changed. */
  readonly publish: () => void
  /** All connections, those included that only finish their calls. */
  readonly open: Set<PooledConnection>
  /** Attempts under way. */
  readonly dials: Set<Fiber.Fiber<unknown, unknown>>
  readonly onOpen: () => void
  readonly onClosed: () => void
}

/** Connections that end without having been of use, within a second each, after which the node counts as one that cannot be reached. */
const USELESS = 5
const USEFUL_AGE = 1000

export class Node {
  readonly address: string
  readonly authority: string
  readonly scheme: "http" | "https"
  readonly timers: DeadlineTimers
  readonly member: Member<Node>
  /** No attempt before, in milliseconds since the epoch. */
  retryAt = 0
  error: KratosError.KratosError | undefined = undefined
  state: State = "idle"
  private readonly owner: Owner
  private readonly to: ConnectOptions
  private readonly connections: Array<PooledConnection> = []
  private dialling: Fiber.Fiber<Dial.Dialled, KratosError.KratosError> | undefined = undefined
  private failures = 0
  private useless = 0
  private retired = false
  /** Doubled whenever the server finds that we ping too often. */
  private pingInterval: number

  constructor({ address, node }: Listed, owner: Owner) {
    const { options, tls } = owner
    this.owner = owner
    this.timers = owner.timers
    this.address = node.address
    this.member = owner.selector.join(node, this)
    // a path is no authority
    this.authority = address.path === undefined ? this.address : "localhost"
    this.scheme = tls === undefined ? "http" : "https"
    this.to = { ...address, tls: tls && { ...tls, session: new Tls.ClientSession() }, lookup: options.lookup }
    this.pingInterval = options.keepAlive?.interval ?? 0
  }

  /** A connection that takes a call now. */
  ready(): PooledConnection | undefined {
    const first = this.connections[0]
    return first !== undefined && first.hasRoom ? first : this.search()
  }

  /** A call is sent to it. */
  begin(call: CallShape): Try<unknown> {
    return this.owner.selector.begin(this.member, call)
  }

  /** It has connections, which may all be full. */
  get isConnected(): boolean {
    return this.connections.length > 0
  }

  get isDialling(): boolean {
    return this.dialling !== undefined
  }

  get snapshot(): NodeState {
    return { address: this.address, state: this.state, connections: this.connections.length, error: this.error }
  }

  /** A call could use it: connects unless there is a connection, an attempt is being made, or the last one is too fresh. */
  wake(): void {
    if (this.connections.length === 0 && this.mayDial()) this.dial()
  }

  /** Calls wait although it is connected: makes one more connection if it may. */
  grow(): boolean {
    const { connections } = this
    // one that is going away leaves the list in a moment; a server that allows no stream at all allows none on another connection either
    const full = connections.length > 0 && connections.every(({ engine }) => !engine.closing && engine.maxConcurrentStreams > 0)
    // with room, it is something else that calls wait for
    if (!full || this.ready() !== undefined || connections.length >= this.owner.options.maxConnections || !this.mayDial()) return false
    this.dial()
    return true
  }

  /** Has `dispatch` called when one of its connections has room again. */
  awaitRoom(): void {
    for (const { engine } of this.connections) engine.awaitStream()
  }

  /** It is listed no more: ends when its calls have ended. */
  retire(): void {
    this.retired = true
    this.owner.selector.leave(this.member)
    this.dialling?.interruptUnsafe()
    while (this.connections.length > 0) this.connections[0]!.leave()
  }

  onRoom(): void {
    this.owner.dispatch()
  }

  onLeaving(connection: PooledConnection, calm: boolean): void {
    if (calm) this.pingInterval *= 2
    this.remove(connection, undefined)
    this.owner.dispatch()
  }

  onClosed(connection: PooledConnection, error: Error | undefined): void {
    this.owner.open.delete(connection)
    this.remove(connection, error)
    this.owner.onClosed()
    this.owner.dispatch()
  }

  private mayDial(): boolean {
    return !this.retired && this.dialling === undefined && this.timers.now() >= this.retryAt
  }

  private search(): PooledConnection | undefined {
    const { connections } = this
    for (let i = 0; i < connections.length; i++) {
      if (connections[i]!.hasRoom) return connections[i]
    }
    return undefined
  }

  private dial(): void {
    if (this.connections.length === 0) this.enter("connecting")
    const { dials, fork, network, options } = this.owner
    // In a fiber of its own, so that the call that happens to be first can be cancelled without the others.
    const idleTimeout = this.connections.length === 0 ? options.idleTimeout : options.surplusTimeout
    const keepAlive = options.keepAlive && { ...options.keepAlive, interval: this.pingInterval }
    const fiber = fork(Dial.dial(network, this.to, { connectTimeout: options.connectTimeout, idleTimeout, keepAlive, timers: this.timers }))
    this.dialling = fiber
    dials.add(fiber)
    fiber.addObserver((exit) => {
      dials.delete(fiber)
      this.dialling = undefined
      if (exit._tag === "Success") this.open(exit.value)
      else this.fail(KratosError.fromCause(exit.cause))
      this.owner.dispatch()
    })
  }

  private open(dialled: Dial.Dialled): void {
    const { open, options } = this.owner
    const connection = new PooledConnection(dialled, this, options.maxAge * (0.9 + 0.2 * this.owner.random()))
    open.add(connection)
    this.owner.onOpen()
    this.connections.push(connection)
    this.error = undefined
    this.enter("ready")
    this.owner.publish()
    if (this.retired) connection.leave()
    // it has gone while its fiber came to its end
    else if (connection.engine.closing) this.remove(connection, undefined)
    if (connection.engine.duplex.closed) connection.close(undefined)
  }

  /** What a connection was good for decides how soon the next one is made. */
  private judge({ engine, since }: PooledConnection, cause: Error | undefined): void {
    if (engine.wasUsed || engine.openStreams > 0 || this.timers.now() - since >= USEFUL_AGE) {
      this.failures = this.useless = this.retryAt = 0
    } else if (++this.useless >= USELESS) {
      this.fail(GrpcError.unavailable(`${this.address} ends every connection at once`, cause))
    }
  }

  private fail(error: KratosError.KratosError): void {
    this.retryAt = this.timers.now() + Backoff.delay(this.owner.options.backoff, ++this.failures, this.owner.random())
    if (this.connections.length > 0 || this.dialling !== undefined || this.retired) return
    this.error = error
    this.enter("transientFailure")
  }

  /** It takes no more calls. */
  private remove(connection: PooledConnection, cause: Error | undefined): void {
    const at = this.connections.indexOf(connection)
    if (at < 0) return
    this.connections.splice(at, 1)
    if (this.connections.length === 0) this.enter(this.dialling === undefined ? "idle" : "connecting")
    this.judge(connection, cause)
    this.owner.publish()
  }

  private enter(state: State): void {
    if (state === this.state) return
    const previous = this.state
    this.state = state
    // one that could not be reached is down until it can: calls do not wait for it
    if (state === "ready") this.owner.selector.setHealth(this.member, "up")
    else if (state === "transientFailure") this.owner.selector.setHealth(this.member, "down")
    else if (this.member.health === "up") this.owner.selector.setHealth(this.member, "pending")
    this.owner.onState(this, previous)
  }
}
