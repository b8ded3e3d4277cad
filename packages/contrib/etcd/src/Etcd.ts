/**
 * etcd version 3 over this framework's own gRPC client: what a registry and a source of config need of it. One client, and one set of connections, serves both.
 */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as Channels from "@effect-kratos/transport/Channels"
import type * as Tls from "@effect-kratos/transport/Tls"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { EtcdError, isTokenRejected } from "./EtcdError.ts"
import { Auth, KV, Lease, Watch } from "./gen/etcdserverpb/rpc_effect.ts"
import { Compare_CompareResult, Compare_CompareTarget } from "./gen/etcdserverpb/rpc_pb.ts"
import { Event_EventType } from "./gen/mvccpb/kv_pb.ts"

export interface Options {
  /** Members of the cluster: `host:port`, or `https://host:port` for all of them. Calls go to those that can be reached. */
  readonly endpoints: ReadonlyArray<string>
  readonly username?: string | undefined
  readonly password?: Redacted.Redacted | undefined
  /** Speaks TLS, with these certificates. */
  readonly tls?: Tls.ClientOptions | undefined
  /** For one call, connecting included. Default 5 seconds. */
  readonly timeout?: Duration.Input | undefined
}

export interface Entry {
  readonly key: string
  readonly value: Uint8Array
}

/** One key, or all that begin with it. */
export interface Range {
  readonly key: string
  readonly prefix?: boolean | undefined
}

export class Etcd extends Context.Service<
  Etcd,
  {
    /** The entries in order of their keys, and the revision of the store at which they were read. */
    readonly get: (range: Range) => Effect.Effect<{ readonly entries: ReadonlyArray<Entry>; readonly revision: bigint }, EtcdError>
    readonly put: (key: string, value: Uint8Array, lease?: bigint) => Effect.Effect<void, EtcdError>
    /** Whether there is such a key, by the member that is asked: it may be a moment behind. */
    readonly has: (key: string) => Effect.Effect<boolean, EtcdError>
    /** Puts only where there is no such key; true if it did. */
    readonly putIfAbsent: (key: string, value: Uint8Array, lease?: bigint) => Effect.Effect<boolean, EtcdError>
    readonly remove: (range: Range) => Effect.Effect<void, EtcdError>
    /** A lease of so many seconds. */
    readonly grant: (seconds: number) => Effect.Effect<bigint, EtcdError>
    /** Ends a lease and with it the keys that were last put with it. */
    readonly revoke: (lease: bigint) => Effect.Effect<void, EtcdError>
    /**
     * Renews a lease every `interval` until it is gone, which is a failure like one of the connection, and so is an answer that does not come within two
     * more: a lease of three intervals has run out then. Runs `onRenewed` after each renewal.
     */
    readonly keepAlive: (
      lease: bigint,
      interval: Duration.Input,
      onRenewed?: Effect.Effect<void, EtcdError>
    ) => Effect.Effect<never, EtcdError>
    /**
     * Tells that something in a range has changed, from a revision on; the first element says that the watch is in place. Fails when the connection is lost,
     * and when what would have to be told has been compacted: read again, and watch from there.
     */
    readonly watch: (range: Range, from: bigint) => Stream.Stream<ReadonlyArray<Change>, EtcdError>
  }
>()("@effect-kratos/contrib-etcd/Etcd") {}

export interface Change {
  readonly key: string
  readonly deleted: boolean
}

export const layer = (options: Options): Layer.Layer<Etcd> => Layer.effect(Etcd, make(options))

export const layerConfig = (config: Config.Wrap<Options>): Layer.Layer<Etcd, Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))

/** What was read first, then what is read after each change that a watch tells; changes that come while it is read are read once. */
export const reread = <A, E>(first: A, watch: Stream.Stream<ReadonlyArray<Change>, E>, read: Effect.Effect<A, E>): Stream.Stream<A, E> =>
  Stream.concat(
    Stream.make(first),
    watch.pipe(
      Stream.filter((changes) => changes.length > 0),
      Stream.buffer({ capacity: 1, strategy: "sliding" }),
      Stream.mapEffect(() => read)
    )
  )

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** The end of a range: the last byte one up, as etcd asks for prefixes; 255s at the end have no successor and fall off. */
const rangeOf = ({ key, prefix = false }: Range): { readonly key: Uint8Array; readonly rangeEnd?: Uint8Array } => {
  const start = bytes(key)
  if (!prefix) return { key: start }
  const last = start.findLastIndex((byte) => byte < 255)
  // all keys: a prefix without a successor, the empty one too
  if (last < 0) return { key: start.length === 0 ? Uint8Array.of(0) : start, rangeEnd: Uint8Array.of(0) }
  const end = start.slice(0, last + 1)
  end[last]! += 1
  return { key: start, rangeEnd: end }
}

const target = (endpoints: ReadonlyArray<string>): string =>
  `direct:///${endpoints.map((one) => one.replace(/^\w+:\/\/|\/+$/g, "")).join(",")}`

const make = Effect.fnUntraced(function* (options: Options) {
  const { endpoints, password, timeout = "5 seconds", username } = options
  const tls = options.tls ?? (endpoints.some((one) => /^(https|grpcs):/.test(one)) ? {} : undefined)
  let token: string | undefined
  const withToken: Aspect.Aspect = Aspect.observe({
    start: (call) => {
      if (token !== undefined) Metadata.set(call.request, "token", token)
    },
    end: () => {}
  })
  const client = { tls, maxMessageBytes: 64 * 1024 * 1024 }
  const clients = Layer.mergeAll(
    KV.client(target(endpoints), { ...client, aspects: withToken }),
    Lease.client(target(endpoints), { ...client, aspects: withToken }),
    Watch.client(target(endpoints), { ...client, aspects: withToken }),
    Auth.client(target(endpoints), client)
  ).pipe(
    Layer.provide(Channels.layerDirect),
    // what waits for changes notices a peer that has gone without a word; reconnecting is up to those who use it
    Layer.provide(
      Channels.options({
        keepAlive: { interval: "10 seconds", timeout: "5 seconds" },
        backoff: { initial: "100 millis", max: "1 second" },
        drainTimeout: "1 second"
      })
    )
  )
  const context = yield* Layer.build(clients)
  const kv = Context.get(context, KV)
  const leases = Context.get(context, Lease)
  const watches = Context.get(context, Watch)
  const auth = Context.get(context, Auth)

  const one = yield* Semaphore.make(1)
  /** Asks for a token unless another call has got a new one meanwhile. */
  const authenticate = (rejected: string | undefined) =>
    Effect.suspend(() => {
      if (username === undefined || token !== rejected) return Effect.void
      return Effect.map(
        auth.authenticate({ name: username, password: password === undefined ? "" : Redacted.value(password) }),
        (reply) => {
          token = reply.token
        }
      )
    }).pipe(one.withPermit)

  /** With a token, and once more with a new one when it is not taken any more. */
  const authenticated = <A>(call: Effect.Effect<A, KratosError.KratosError>): Effect.Effect<A, KratosError.KratosError> =>
    Effect.suspend(() => {
      if (username === undefined) return call
      const before = token
      const first = before === undefined ? Effect.andThen(authenticate(undefined), call) : call
      return Effect.catchIf(first, isTokenRejected, () => Effect.andThen(authenticate(token), call))
    })

  /**
   * Within the time limit a call is made again while no member can be reached: all that this client does may be done twice. The error is then that of the
   * last attempt.
   */
  const run = <A>(operation: string, call: Effect.Effect<A, KratosError.KratosError>): Effect.Effect<A, EtcdError> =>
    Effect.suspend(() => {
      let last: KratosError.KratosError | undefined
      return authenticated(call).pipe(
        Effect.tapError((error) => Effect.sync(() => (last = error))),
        Effect.retry({ schedule: Schedule.spaced("100 millis"), while: ({ code }) => code === 503 }),
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () =>
            Effect.fail(
              last ?? KratosError.gatewayTimeout("ETCD", `no answer within ${Duration.format(Duration.fromInputUnsafe(timeout))}`)
            )
        }),
        Effect.mapError((cause) => new EtcdError({ operation, cause }))
      )
    })

  const keepAlive = (lease: bigint, interval: Duration.Input, onRenewed: Effect.Effect<void, EtcdError> = Effect.void) => {
    const gone = (why: string) => new EtcdError({ operation: "LeaseKeepAlive", cause: new Error(why) })
    const patience = Duration.times(Duration.fromInputUnsafe(interval), 2)
    const renew = Effect.gen(function* () {
      const requests = yield* Queue.unbounded<{ readonly ID: bigint }>()
      const replies = yield* Stream.toPull(
        Stream.mapError(leases.leaseKeepAlive(Stream.fromQueue(requests)), (cause) => new EtcdError({ operation: "LeaseKeepAlive", cause }))
      )
      while (true) {
        yield* Queue.offer(requests, { ID: lease })
        const [reply] = yield* Effect.timeoutOrElse(replies, {
          duration: patience,
          orElse: () => Effect.fail(gone(`no answer within ${Duration.format(patience)}`))
        })
        if (reply.TTL <= 0n) return yield* gone("the lease is gone")
        yield* onRenewed
        yield* Effect.sleep(interval)
      }
    })
    return Pull.catchDone(Effect.scoped(renew), () => Effect.fail(gone("etcd ended the stream")))
  }

  const watch = (range: Range, from: bigint): Stream.Stream<ReadonlyArray<Change>, EtcdError> => {
    const fail = (cause: unknown) => new EtcdError({ operation: "Watch", cause })
    const create = { ...rangeOf(range), startRevision: from, progressNotify: true }
    // the requests stay open: closing them would end the watch
    const requests = Stream.concat(Stream.make({ requestUnion: { case: "createRequest" as const, value: create } }), Stream.never)
    return Stream.unwrap(
      Effect.as(
        Effect.mapError(username === undefined || token !== undefined ? Effect.void : authenticate(undefined), fail),
        watches.watch(requests)
      )
    ).pipe(
      Stream.mapError((cause) => (cause instanceof EtcdError ? cause : fail(cause))),
      Stream.mapEffect((reply): Effect.Effect<ReadonlyArray<Change> | undefined, EtcdError> => {
        if (reply.compactRevision > 0n)
          return Effect.fail(fail(new Error(`what was to be told is compacted up to revision ${reply.compactRevision}`)))
        if (reply.canceled) {
          // a token that has expired shows here, too; the next watch asks for a new one
          token = undefined
          return Effect.fail(fail(new Error(reply.cancelReason === "" ? "etcd ended the watch" : reply.cancelReason)))
        }
        if (!reply.created && reply.events.length === 0) return Effect.undefined
        return Effect.succeed(
          reply.events.map(({ kv, type }) => ({ key: text(kv?.key ?? new Uint8Array()), deleted: type === Event_EventType.DELETE }))
        )
      }),
      Stream.filter((changes) => changes !== undefined),
      Stream.concat(Stream.fail(fail(new Error("etcd ended the stream"))))
    )
  }

  return Etcd.of({
    get: (range) =>
      Effect.map(run("Range", kv.range(rangeOf(range))), ({ header, kvs }) => ({
        entries: kvs.map(({ key, value }) => ({ key: text(key), value })),
        revision: header?.revision ?? 0n
      })),
    has: (key) => Effect.map(run("Range", kv.range({ key: bytes(key), countOnly: true, serializable: true })), ({ count }) => count > 0n),
    put: (key, value, lease = 0n) => Effect.asVoid(run("Put", kv.put({ key: bytes(key), value, lease }))),
    putIfAbsent: (key, value, lease = 0n) =>
      Effect.map(
        run(
          "Txn",
          kv.txn({
            compare: [
              {
                key: bytes(key),
                target: Compare_CompareTarget.VERSION,
                result: Compare_CompareResult.EQUAL,
                targetUnion: { case: "version", value: 0n }
              }
            ],
            success: [{ request: { case: "requestPut", value: { key: bytes(key), value, lease } } }]
          })
        ),
        ({ succeeded }) => succeeded
      ),
    remove: (range) => Effect.asVoid(run("DeleteRange", kv.deleteRange(rangeOf(range)))),
    grant: (seconds) => Effect.map(run("LeaseGrant", leases.leaseGrant({ TTL: BigInt(seconds) })), ({ ID }) => ID),
    revoke: (lease) => Effect.asVoid(run("LeaseRevoke", leases.leaseRevoke({ ID: lease }))),
    keepAlive,
    watch
  })
})
