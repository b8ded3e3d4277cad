/**
 * A TCP proxy that breaks on demand: put it between a client and a server, and add faults while they talk. A fault holds as long as the scope that added
 * it. It knows nothing of the bytes that it carries, TLS included.
 *
 * It listens and connects through `Network`: on the machine's network by default, in memory where the program under test is there too.
 */
import * as Network from "@effect-kratos/transport/Network"
import type { ListenError } from "@effect-kratos/transport/NetworkError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as net from "node:net"
import type { Duplex } from "node:stream"
import type { Fault } from "./Fault.ts"
import * as Relay from "./internal/Relay.ts"
import * as Way from "./internal/Way.ts"

export interface Options {
  /** Where the connections go. */
  readonly upstream: Network.Address
  /** Default 127.0.0.1. */
  readonly host?: string | undefined
  /** Default 0: a free one. */
  readonly port?: number | undefined
}

export interface Stats {
  /** Connections that are open. */
  readonly open: number
  /** Connections that were accepted, all told. */
  readonly accepted: number
  /** Connections that the upstream did not take. */
  readonly unreachable: number
  /** Bytes that clients have sent, as far as they were passed on. */
  readonly bytesUpstream: number
  /** Bytes that clients were sent. */
  readonly bytesDownstream: number
}

export interface FaultProxy {
  /** What clients connect to. */
  readonly address: Network.Address
  /** Adds a fault until the scope closes. */
  readonly add: (fault: Fault) => Effect.Effect<void, never, Scope.Scope>
  /** Runs an effect while the faults hold. */
  readonly during: (...faults: ReadonlyArray<Fault>) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Resets the connections that are open now. */
  readonly resetConnections: Effect.Effect<void>
  readonly stats: Effect.Effect<Stats>
}

interface Active {
  readonly fault: Fault
  readonly scope: Scope.Scope
}

/** Proxies until the scope closes; what is open then is reset. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<FaultProxy, ListenError, Scope.Scope> {
  const { host = "127.0.0.1", port = 0, upstream } = options
  const scope = yield* Effect.scope
  const network = yield* Network.Network
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  const changed = yield* Latch.make()
  const active = new Set<Active>()
  const connections = new Set<Duplex>()
  const stats = { accepted: 0, unreachable: 0, bytesUpstream: 0, bytesDownstream: 0 }
  let up = Way.clear
  let down = Way.clear

  /** From the first byte to the last of both ways, or until an end breaks off. */
  const exchange = Effect.fnUntraced(function* (client: Duplex, fromClient: Relay.Source) {
    const server = yield* network.connect(upstream).pipe(Effect.tapError(() => Effect.sync(() => stats.unreachable++)))
    own(server)
    yield* Effect.addFinalizer(() => Effect.sync(() => abort(server)))
    const fromServer = yield* Relay.listen(server, now)
    const relays = Effect.all(
      [
        Relay.relay(
          fromClient,
          server,
          () => up,
          changed,
          (bytes) => (stats.bytesUpstream += bytes)
        ),
        Relay.relay(
          fromServer,
          client,
          () => down,
          changed,
          (bytes) => (stats.bytesDownstream += bytes)
        )
      ],
      { concurrency: 2, discard: true }
    )
    const whole = Effect.andThen(relays, Effect.andThen(closed(client), closed(server)))
    yield* Effect.raceFirst(whole, Effect.raceFirst(broken(client), broken(server)))
  }, Effect.scoped)

  const carry = Effect.fnUntraced(
    function* (client: Duplex) {
      // before anything else: what comes is heard in the turn in which the connection was accepted
      const fromClient = yield* Relay.listen(client, now)
      for (const { fault, scope } of active) {
        if (fault._tag === "Reset") yield* Effect.forkIn(abortAfter(client, fault.after), scope)
      }
      yield* Effect.raceFirst(exchange(client, fromClient), broken(client))
    },
    (effect, client) =>
      Effect.onExit(Effect.ignore(effect), () =>
        Effect.sync(() => {
          connections.delete(client)
          abort(client)
        })
      )
  )

  const run = yield* FiberSet.makeRuntime<never>()
  const accept = ({ duplex }: Network.Accepted): void => {
    own(duplex)
    stats.accepted++
    connections.add(duplex)
    run(carry(duplex))
  }

  let listening: { readonly scope: Scope.Closeable } | undefined
  const listen = Effect.fnUntraced(function* (port: number) {
    const own = yield* Scope.fork(scope)
    const address = yield* Scope.provide(network.listen({ host, port }, accept), own)
    listening = { scope: own }
    return address
  })
  const address = yield* listen(port)

  const resetConnections = Effect.sync(() => connections.forEach(abort))
  const settle = Effect.suspend(() => {
    const faults = Array.from(active, ({ fault }) => fault)
    up = Way.of(faults, "upstream")
    down = Way.of(faults, "downstream")
    return Effect.andThen(changed.release, faults.some(({ _tag }) => _tag === "Down") ? refuse : admit)
  })
  const refuse = Effect.suspend(() => {
    if (listening === undefined) return Effect.void
    const { scope } = listening
    listening = undefined
    return Effect.andThen(Scope.close(scope, Exit.void), resetConnections)
  })
  const admit = Effect.suspend(() =>
    // somebody may have taken the port in the meantime
    listening === undefined
      ? Effect.orDie(Effect.retry(listen(address.port), { schedule: Schedule.spaced("50 millis"), times: 100 }))
      : Effect.void
  )
  // faults that come and go at the same time take turns, so that the last one's view of the port holds
  const turn = yield* Semaphore.make(1)
  const change = (f: () => void) => turn.withPermit(Effect.andThen(Effect.sync(f), settle))

  const add = Effect.fnUntraced(function* (fault: Fault) {
    const entry: Active = { fault, scope: yield* Effect.scope }
    yield* Effect.acquireRelease(
      change(() => active.add(entry)),
      () => change(() => active.delete(entry))
    )
    if (fault._tag === "Reset") for (const client of connections) yield* Effect.forkScoped(abortAfter(client, fault.after))
  })

  return {
    address,
    add,
    during:
      (...faults) =>
      (effect) =>
        Effect.acquireUseRelease(
          Scope.make(),
          (scope) => Effect.andThen(Scope.provide(Effect.forEach(faults, add, { discard: true }), scope), effect),
          Scope.close
        ),
    resetConnections,
    stats: Effect.sync(() => ({ open: connections.size, ...stats }))
  }
})

/** Halves of a connection end apart, and its failures are told by its closing. */
const own = (duplex: Duplex): void => {
  duplex.allowHalfOpen = true
  duplex.on("error", () => undefined)
}

/** RST where there is TCP. */
const abort = (duplex: Duplex): void => {
  if (duplex.destroyed) return
  if (duplex instanceof net.Socket) duplex.resetAndDestroy()
  else duplex.destroy()
}

const abortAfter = (duplex: Duplex, millis: number): Effect.Effect<void> =>
  Effect.andThen(
    Effect.sleep(millis),
    Effect.sync(() => abort(duplex))
  )

const onClose = (duplex: Duplex, when: () => boolean): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const done = () => when() && resume(Effect.void)
    if (duplex.closed) return void done()
    duplex.once("close", done)
    return Effect.sync(() => void duplex.removeListener("close", done))
  })

const closed = (duplex: Duplex): Effect.Effect<void> => onClose(duplex, () => true)

/** It has closed before both of its halves had ended. */
const broken = (duplex: Duplex): Effect.Effect<void> => onClose(duplex, () => !duplex.readableEnded || !duplex.writableFinished)
