/**
 * A session over connections that come and go. It moves from server to server within its time-out, and what was ephemeral in it stays; when the servers have
 * forgotten it, another one begins.
 */
import * as Backoff from "@effect-kratos/core/registry/Backoff"
import * as Network from "@effect-kratos/transport/Network"
import * as Tls from "@effect-kratos/transport/Tls"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { ZookeeperError } from "../ZookeeperError.ts"
import * as Addresses from "./Addresses.ts"
import * as Connection from "./Connection.ts"
import * as Records from "./Records.ts"
import * as Watches from "./Watches.ts"

export interface Options {
  readonly endpoints: ReadonlyArray<string>
  readonly digest: string | undefined
  readonly tls: Tls.ClientOptions | undefined
  readonly sessionTimeout: Duration.Duration
  readonly connectTimeout: Duration.Duration
  readonly timeout: Duration.Duration
  readonly maxFrameBytes: number
}

export interface Session {
  /** Its number, once there is a connection. */
  readonly id: Effect.Effect<bigint, ZookeeperError>
  /** Waits for a connection, and makes the request again when one breaks, within the time for one call. */
  readonly request: <A>(request: Connection.Request<A>) => Effect.Effect<A, ZookeeperError>
  readonly watches: Watches.Watches
}

const name = "zookeeper"
/** A connection that has lasted so long was a good one. */
const steadyMillis = 1000

export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Session, never, Scope.Scope> {
  const { connectTimeout, digest, maxFrameBytes, timeout } = options
  const sessionMillis = Math.round(Duration.toMillis(options.sessionTimeout))
  const network = yield* Network.Network
  const material = options.tls === undefined ? undefined : yield* Effect.result(Tls.load(options.tls))
  // not all processes at the same server
  const endpoints = yield* Random.shuffle(options.endpoints)
  const backoff = Backoff.make({ initial: "200 millis", max: "2 seconds" })
  const watches = Watches.make()
  const ready = yield* Latch.make(false)

  let session = Records.noSession
  /** The newest transaction that was seen: a server that is behind it does not take us. */
  let lastZxid = 0n
  let current: Connection.Connection | undefined
  let lastError: ZookeeperError | undefined
  let closing = false

  const lost = (detail: string): ZookeeperError => new ZookeeperError({ operation: "connect", reason: "ConnectionLoss", detail })

  const connect = Effect.fnUntraced(function* (endpoint: string) {
    const address = Addresses.parse(endpoint)
    if (address === undefined) return yield* lost(`"${endpoint}" is not host:port`)
    if (material !== undefined && Result.isFailure(material)) return yield* lost(material.failure.message)
    const secure =
      material === undefined ? undefined : ({ source: material.success, serverName: options.tls?.serverName, protocol: "none" } as const)
    return yield* Effect.acquireRelease(
      Effect.mapError(network.connect({ ...address, tls: secure }), ({ message }) => lost(message)),
      (duplex) => Effect.sync(() => void duplex.destroy()),
      { interruptible: true }
    )
  })

  /** From the first octet to the last; returns when the session has expired. `onConnected` runs once it is there. */
  const attach = Effect.fnUntraced(function* (endpoint: string, onConnected: Effect.Effect<void>, onTaken: () => void) {
    const connection = yield* Effect.gen(function* () {
      const duplex = yield* connect(endpoint)
      onTaken()
      return yield* Connection.open({
        duplex,
        session,
        lastZxid,
        timeout: sessionMillis,
        digest,
        maxFrameBytes,
        onEvent: watches.tell,
        onZxid: (zxid) => {
          if (zxid > lastZxid) lastZxid = zxid
        }
      })
    }).pipe(
      Effect.timeoutOrElse({
        duration: connectTimeout,
        orElse: () => Effect.fail(lost(`${endpoint} does not answer within ${Duration.format(connectTimeout)}`))
      })
    )
    if (Connection.isExpired(connection.connected)) {
      if (session === Records.noSession) return yield* lost(`${endpoint} gives no session`)
      session = Records.noSession
      return yield* Effect.logWarning(`${name}: the session has expired, beginning another`)
    }
    session = connection.connected
    current = connection
    yield* onConnected
    yield* ready.open
    return yield* Effect.ensuring(
      connection.run,
      Effect.suspend(() => {
        current = undefined
        watches.lose()
        return ready.close
      })
    )
  }, Effect.scoped)

  const loop = Effect.gen(function* () {
    const clock = yield* Clock.Clock
    let since = clock.currentTimeMillisUnsafe()
    let failures = 0
    for (let i = 0; ; i++) {
      const endpoint = endpoints[i % endpoints.length] ?? ""
      let taken = false
      let connectedAt: number | undefined
      const error = yield* Effect.flip(
        attach(
          endpoint,
          Effect.suspend(() => {
            connectedAt = clock.currentTimeMillisUnsafe()
            return Effect.logDebug(`${name}: connected to ${endpoint}`)
          }),
          () => void (taken = true)
        ).pipe(
          Effect.andThen(Effect.fail(undefined)),
          // of a watcher that throws, say: the session goes on
          Effect.catchDefect((defect) => Effect.andThen(Effect.logError(`${name}: ${endpoint}`, defect), Effect.fail(lost(String(defect)))))
        )
      )
      if (closing) return
      const now = clock.currentTimeMillisUnsafe()
      if (connectedAt !== undefined) {
        since = now
        // a server that throws us out at once is asked less and less often
        if (now - connectedAt > steadyMillis) failures = 0
      }
      // expired: the same server begins another one
      if (error === undefined) {
        i -= 1
        continue
      }
      lastError = error
      yield* Effect.logDebug(`${name}: ${endpoint}`, error)
      // servers that have lost their data hang up on a session that has seen more than they know, for ever
      if (taken && connectedAt === undefined && error.reason === "ConnectionLoss" && now - since > sessionMillis) {
        session = Records.noSession
        lastZxid = 0n
      }
      // the next server at once; all of them again after a while
      failures += 1
      if (failures >= endpoints.length) yield* Effect.sleep(yield* backoff(Math.floor(failures / Math.max(1, endpoints.length)) - 1))
    }
  })

  const tooLate = (operation: string): ZookeeperError => {
    const within = `within ${Duration.format(timeout)}`
    if (current !== undefined || lastError === undefined)
      return new ZookeeperError({ operation, reason: "Timeout", detail: `no answer ${within}` })
    const { detail, reason } = lastError
    return new ZookeeperError({ operation, reason, detail: `no connection ${within}: ${detail}` })
  }
  const limited = <A>(operation: string, effect: Effect.Effect<A, ZookeeperError>): Effect.Effect<A, ZookeeperError> =>
    Effect.timeoutOrElse(effect, { duration: timeout, orElse: () => Effect.suspend(() => Effect.fail(tooLate(operation))) })
  const connection: Effect.Effect<Connection.Connection> = Effect.suspend(() =>
    current === undefined ? Effect.andThen(ready.await, connection) : Effect.succeed(current)
  )

  yield* Effect.forkScoped(loop)
  // before the loop is interrupted: a session that is ended takes away at once what was ephemeral in it
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closing = true
      return current === undefined ? Effect.void : Effect.ignore(Effect.timeout(current.closeSession, "1 second"))
    })
  )
  return {
    id: limited(
      "session",
      Effect.map(connection, () => session.id)
    ),
    request: (request) =>
      limited(
        request.operation,
        Effect.flatMap(connection, (open) => open.request(request)).pipe(
          Effect.retry({
            schedule: Schedule.spaced("50 millis"),
            while: ({ reason }) => reason === "ConnectionLoss" || reason === "SessionExpired"
          })
        )
      ),
    watches
  }
})
