/**
 * ZooKeeper over its own protocol, of version 3.4: what a registry needs of it. Why a client of our own: those in the registry of packages need a native build,
 * or end with their first session.
 */
import type * as Tls from "@effect-kratos/transport/Tls"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Request } from "./internal/Connection.ts"
import type { Reader } from "./internal/Jute.ts"
import * as Records from "./internal/Records.ts"
import * as Session from "./internal/Session.ts"
import type { Kind, Watcher } from "./internal/Watches.ts"
import { ofCode, type ZookeeperError } from "./ZookeeperError.ts"

export interface Options {
  /** Servers of the ensemble: `host:port`, or `host` for port 2181. One of them is connected to, another when it fails. */
  readonly endpoints: ReadonlyArray<string>
  /** With `password`: nodes are created for those alone who know both, by the scheme `digest`. Default: for everybody. */
  readonly username?: string | undefined
  readonly password?: Redacted.Redacted | undefined
  /** Speaks TLS, with these certificates: the server's `secureClientPort`. */
  readonly tls?: Tls.ClientOptions | undefined
  /** How long after the last sign of life the servers keep a session, and what is ephemeral in it. They may settle for another. Default 15 seconds. */
  readonly sessionTimeout?: Duration.Input | undefined
  /** For connecting to one server, handshakes included. Default 5 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** For one call, waiting for a connection included. Default 5 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** The longest message that is taken from a server: it bounds the names below one node. Default 4 MiB. */
  readonly maxFrameBytes?: number | undefined
}

export type { Watcher }
export type Stat = Records.Stat
export type Entry = Records.Entry

export interface CreateOptions {
  /** Goes with the session. Default false. */
  readonly ephemeral?: boolean | undefined
}

/**
 * Within the time limit a call is made again when its connection breaks, so that it may be done twice: a create that has succeeded can then fail with
 * `NodeExists`, a removal find nothing. A watcher that is given to a read hears of the next change of what was read.
 */
export class Zookeeper extends Context.Service<
  Zookeeper,
  {
    /** The number of the session, to compare with a node's `ephemeralOwner`; another one when it has expired. */
    readonly session: Effect.Effect<bigint, ZookeeperError>
    /** What was asked for: a session of which nobody has heard for so long has expired. */
    readonly sessionTimeout: Duration.Duration
    readonly create: (path: string, data: Uint8Array, options?: CreateOptions) => Effect.Effect<void, ZookeeperError>
    /** Puts a new node in the place of one that has this version; there is no moment without. */
    readonly replace: (path: string, version: number, data: Uint8Array, options?: CreateOptions) => Effect.Effect<void, ZookeeperError>
    /** Of that version; without one, of any. False where there is none. */
    readonly remove: (path: string, version?: number) => Effect.Effect<boolean, ZookeeperError>
    readonly exists: (path: string, watcher?: Watcher) => Effect.Effect<Stat | undefined, ZookeeperError>
    /** Of a node that is not there nothing is watched. */
    readonly get: (path: string, watcher?: Watcher) => Effect.Effect<Entry | undefined, ZookeeperError>
    /** The names below a node, in no order. Of a node that is not there nothing is watched. */
    readonly children: (path: string, watcher?: Watcher) => Effect.Effect<ReadonlyArray<string> | undefined, ZookeeperError>
    /** Hears of the path that has changed, once for each read that it was given to; of undefined when the connection is lost, and with it all watches. */
    readonly watcher: (onChange: (path: string | undefined) => void) => Effect.Effect<Watcher, never, Scope.Scope>
  }
>()("@effect-kratos/contrib-zookeeper/Zookeeper") {}

export const layer = (options: Options): Layer.Layer<Zookeeper> => Layer.effect(Zookeeper, make(options))

export const layerConfig = (config: Config.Wrap<Options>): Layer.Layer<Zookeeper, Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))

const make = Effect.fnUntraced(function* (options: Options) {
  const {
    connectTimeout = "5 seconds",
    maxFrameBytes = 4 * 1024 * 1024,
    password,
    sessionTimeout = "15 seconds",
    timeout = "5 seconds"
  } = options
  const username = password === undefined ? undefined : options.username
  const secret = password === undefined ? "" : Redacted.value(password)
  const acl = username === undefined ? Records.anyone : Records.digest(username, secret)
  const { id, request, watches } = yield* Session.make({
    endpoints: options.endpoints,
    digest: username === undefined ? undefined : `${username}:${secret}`,
    tls: options.tls,
    sessionTimeout: Duration.fromInputUnsafe(sessionTimeout),
    connectTimeout: Duration.fromInputUnsafe(connectTimeout),
    timeout: Duration.fromInputUnsafe(timeout),
    maxFrameBytes
  })

  const simple = (operation: string, encode: (xid: number) => Buffer) =>
    request({ operation, encode, decode: (code) => (code === Records.Code.ok ? undefined : ofCode(operation, code)) })

  /** What is there, with `kind` of it watched from now on; undefined for a node that is not there, whose coming `exists` watches. */
  const read = <A>(op: number, operation: string, path: string, kind: Kind, watcher: Watcher | undefined, decode: (from: Reader) => A) =>
    request<A | undefined>({
      operation: `${operation} ${path}`,
      encode: (xid) => Records.read(xid, op, path, watcher !== undefined),
      decode: (code, from): A | undefined | ZookeeperError => {
        const absent = code === Records.Code.noNode
        if (code !== Records.Code.ok && !absent) return ofCode(`${operation} ${path}`, code)
        if (watcher !== undefined && (!absent || op === Records.Op.exists)) watches.add(watcher, kind, path)
        return absent ? undefined : decode(from)
      }
    } satisfies Request<A | undefined>)

  return Zookeeper.of({
    session: id,
    sessionTimeout: Duration.fromInputUnsafe(sessionTimeout),
    create: (path, data, { ephemeral = false } = {}) => simple(`create ${path}`, (xid) => Records.create(xid, path, data, acl, ephemeral)),
    replace: (path, version, data, { ephemeral = false } = {}) => {
      const operation = `replace ${path}`
      return request({
        operation,
        encode: (xid) => Records.replace(xid, path, version, data, acl, ephemeral),
        decode: (code, from) => {
          const failed = code === Records.Code.ok ? Records.multiCode(from) : code
          return failed === Records.Code.ok ? undefined : ofCode(operation, failed)
        }
      })
    },
    remove: (path, version = -1) => {
      const operation = `remove ${path}`
      return request({
        operation,
        encode: (xid) => Records.remove(xid, path, version),
        decode: (code) => (code === Records.Code.ok ? true : code === Records.Code.noNode ? false : ofCode(operation, code))
      })
    },
    exists: (path, watcher) => read(Records.Op.exists, "exists", path, "node", watcher, Records.stat),
    get: (path, watcher) => read(Records.Op.getData, "get", path, "node", watcher, Records.entry),
    children: (path, watcher) => read(Records.Op.getChildren, "children", path, "children", watcher, (from) => from.texts()),
    watcher: (onChange) =>
      Effect.acquireRelease(
        Effect.sync(() => watches.open(onChange)),
        (watcher) => Effect.sync(() => watches.close(watcher))
      )
  })
})
