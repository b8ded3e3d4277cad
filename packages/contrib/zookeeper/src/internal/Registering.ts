/** Keeps ephemeral nodes in place while their registrations last. */
import * as Registration from "@effect-kratos/core/registry/Registration"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Zookeeper } from "../Zookeeper.ts"
import { ZookeeperError } from "../ZookeeperError.ts"
import * as Holders from "./Holders.ts"

export interface Registering {
  /** Keeps `data` at `path` until the scope closes. `name` is for the log. */
  readonly register: (name: string, path: string, data: Buffer) => Effect.Effect<unknown, ZookeeperError | Cause.TimeoutError, Scope.Scope>
}

const empty = new Uint8Array(0)

/** Another one was faster: look again. */
const isConflict = ({ reason }: ZookeeperError): boolean => reason === "NodeExists" || reason === "BadVersion" || reason === "NoNode"
const isReason =
  (reason: ZookeeperError["reason"]) =>
  (error: ZookeeperError): boolean =>
    error.reason === reason

const expired = (path: string) =>
  new ZookeeperError({ operation: `keep ${path}`, reason: "SessionExpired", detail: "the session has expired" })

export const make = Effect.fnUntraced(function* (client: Zookeeper["Service"]): Effect.fn.Return<Registering, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const holders = Holders.make()

  /** Makes a node that stays, and those above it: from below, since who may not write above need not. */
  const ensure = (path: string): Effect.Effect<void, ZookeeperError> =>
    path === ""
      ? Effect.void
      : client.create(path, empty).pipe(
          Effect.catchIf(isReason("NoNode"), () => Effect.andThen(ensure(parentOf(path)), client.create(path, empty))),
          Effect.catchIf(isReason("NodeExists"), () => Effect.void)
        )
  const create = (path: string, data: Buffer): Effect.Effect<void, ZookeeperError> =>
    Effect.catchIf(client.create(path, data, { ephemeral: true }), isReason("NoNode"), () =>
      Effect.andThen(ensure(parentOf(path)), client.create(path, data, { ephemeral: true }))
    )
  /** False where another one was faster. */
  const settled = (effect: Effect.Effect<void, ZookeeperError>): Effect.Effect<boolean, ZookeeperError> =>
    Effect.catchIf(Effect.as(effect, true), isConflict, () => Effect.succeed(false))

  /** Puts the node in place, in that of another one where there is one, and returns the session that it belongs to. */
  const acquire = Effect.fnUntraced(function* (path: string, data: Buffer, holder: Holders.Holder) {
    holders.claim(path, holder)
    for (;;) {
      const session = yield* client.session
      const there = yield* client.get(path)
      if (there === undefined) {
        if (yield* settled(create(path, data))) return session
        continue
      }
      if (there.stat.ephemeralOwner === session && data.equals(there.data)) return session
      if (yield* settled(client.replace(path, there.stat.version, data, { ephemeral: true }))) return session
    }
  })

  /** Puts it there again when somebody has deleted it; leaves it to another one that has taken it over. Ends with the session. */
  const keep = (path: string, data: Buffer, holder: Holders.Holder, turn: Queue.Dequeue<void>, wake: () => void, session: bigint) =>
    Effect.gen(function* () {
      const watcher = yield* client.watcher(wake)
      for (;;) {
        // a connection that breaks ends nothing: the session may live on with the next one, for as long as it lives without any
        const stat = yield* client
          .exists(path, watcher)
          .pipe(
            Effect.retry({ schedule: Schedule.spaced("200 millis"), while: ({ transient }) => transient }),
            Effect.timeoutOrElse({ duration: client.sessionTimeout, orElse: () => Effect.fail(expired(path)) })
          )
        if ((yield* client.session) !== session) return yield* expired(path)
        if (stat === undefined && holders.top(path) === holder) yield* settled(create(path, data))
        else yield* Queue.take(turn)
      }
    }).pipe(Effect.scoped)

  /** Goes on trying when nobody waits for it any more: only the end of the session takes it away otherwise, and that serves others, too. */
  const takeAway = (path: string, holder: Holders.Holder) =>
    Effect.suspend(() => {
      if (!holders.drop(path, holder)) return Effect.void
      const next = holders.top(path)
      const remove = Effect.gen(function* () {
        const session = yield* client.session
        const stat = yield* client.exists(path)
        // registered again, here or elsewhere
        if (stat === undefined || stat.ephemeralOwner !== session || holders.top(path) !== next) return
        yield* settled(Effect.asVoid(client.remove(path, stat.version)))
      }).pipe(
        Effect.retry({ schedule: Schedule.spaced("1 second"), while: ({ transient }) => transient }),
        Effect.ensuring(Effect.sync(() => holders.top(path)?.wake()))
      )
      return Effect.flatMap(Effect.forkIn(remove, scope), Fiber.join)
    })

  return {
    register: Effect.fnUntraced(function* (name, path, data) {
      const turn = yield* Queue.sliding<void>(1)
      const wake = () => void Queue.offerUnsafe(turn, undefined)
      const holder: Holders.Holder = { wake }
      yield* Registration.keep({
        name,
        acquire: acquire(path, data, holder),
        keep: (session: bigint) => keep(path, data, holder, turn, wake, session),
        release: () => takeAway(path, holder),
        abandon: takeAway(path, holder)
      })
    })
  }
})

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/"))
