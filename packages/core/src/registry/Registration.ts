/**
 * A registration that never gives up, for registrars of any vendor: they say how one attempt is made, how it is kept and how it ends; this says when.
 *
 * What the registry has lost, by its own restart, by a lease that ran out or by a cut network, is registered again after a jittered back-off, for as
 * long as the scope is open. Each change of state is logged once, and told to whoever asked by `onState`.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { within } from "../internal/within.ts"
import * as Backoff from "./Backoff.ts"

export type Status = "registering" | "registered" | "lost"

export interface State {
  readonly status: Status
  /** Attempts that have failed since it was last registered. */
  readonly failures: number
}

/** Hears of every state of the registrations that are made under it; `App` puts what it shows on `/readyz` here. It may not throw. */
export const onState: Context.Reference<(state: State) => void> = Context.Reference<(state: State) => void>(
  "@effect-kratos/core/registry/Registration/onState",
  { defaultValue: () => () => {} }
)

export interface Options<Lease, E, R> {
  /** What is registered where, for the log: `greeter/1 in etcd`. No credentials. */
  readonly name: string
  /** One attempt. An instance of the same name and id that is there already is replaced. */
  readonly acquire: Effect.Effect<Lease, E, R>
  /** Renews for as long as the registry holds the instance. It is lost when this fails or ends. */
  readonly keep: (lease: Lease) => Effect.Effect<unknown, unknown, R>
  /** Takes the instance away. A failure is logged: the registry forgets by itself. */
  readonly release: (lease: Lease) => Effect.Effect<unknown, unknown, R>
  /** Takes away what a failed attempt, or one that was cut short, may have left. Default: nothing. */
  readonly abandon?: Effect.Effect<unknown, unknown, R> | undefined
  /** Time for one attempt, and for taking away. Default: 5 seconds. */
  readonly timeout?: Duration.Input | undefined
  readonly backoff?: Backoff.Options | undefined
}

/**
 * Registers and keeps registered until the scope closes, which takes the instance away. Fails when the first attempt fails or takes too long: whether
 * to go on then is for the caller to say, and `App` does. After it nothing fails any more.
 */
export const keep = Effect.fnUntraced(function* <Lease, E, R>(
  options: Options<Lease, E, R>
): Effect.fn.Return<SubscriptionRef.SubscriptionRef<State>, E | Cause.TimeoutError, R | Scope.Scope> {
  const { abandon, name, timeout = "5 seconds" } = options
  const delay = Backoff.make(options.backoff)
  const patience = Duration.toMillis(Duration.fromInputUnsafe(options.backoff?.max ?? "10 seconds"))
  const tell = yield* onState
  const state = yield* SubscriptionRef.make<State>({ status: "registering", failures: 0 })
  const become = (status: Status, failures: number) =>
    Effect.suspend(() => {
      tell({ status, failures })
      return SubscriptionRef.set(state, { status, failures })
    })

  let lease: Option.Option<Lease> = Option.none()
  /** An attempt came to no good end: the registry may have the instance although nobody knows. */
  let uncertain = false

  const attempt: Effect.Effect<Lease, E | Cause.TimeoutError, R> = Effect.suspend(() => {
    uncertain = true
    return within(options.acquire, timeout)
  }).pipe(
    Effect.flatMap((exit): Effect.Effect<Lease, E | Cause.TimeoutError> => {
      if (Option.isNone(exit))
        return Effect.fail(new Cause.TimeoutError(`${name}: took longer than ${Duration.format(Duration.fromInputUnsafe(timeout))}`))
      // a failure may be that of the reply alone
      if (Exit.isSuccess(exit.value)) {
        lease = Option.some(exit.value.value)
        uncertain = false
      }
      return exit.value
    })
  )

  const takeAway = (last: Effect.Effect<unknown, unknown, R>) =>
    Effect.flatMap(within(last, timeout), (exit) => {
      if (Option.isNone(exit)) return Effect.logWarning(`${name}: taking it away took too long; the registry forgets it by itself`)
      return Exit.isFailure(exit.value)
        ? Effect.logWarning(`${name}: could not be taken away; the registry forgets it by itself`, exit.value.cause)
        : Effect.void
    })
  const end = Effect.gen(function* () {
    if (uncertain && abandon !== undefined) yield* takeAway(abandon)
    if (Option.isSome(lease)) yield* takeAway(options.release(lease.value))
  })

  /** Attempts after the first `failures` windows, until one succeeds. Returns how many have failed. */
  const again = Effect.fnUntraced(function* (from: number) {
    for (let failures = 0; ; failures++) {
      yield* Effect.sleep(yield* delay(from + failures))
      const exit = yield* Effect.exit(attempt)
      if (Exit.isSuccess(exit)) return failures
      yield* Effect.logDebug(`${name}: attempt ${failures + 1} failed`, exit.cause)
      yield* become("lost", failures + 1)
    }
  })

  const loop = Effect.gen(function* () {
    // a registry that loses it again at once is asked less and less often
    let flaps = 0
    for (;;) {
      if (Option.isNone(lease)) return yield* Effect.die(new Error("kept without a lease"))
      const since = yield* Clock.currentTimeMillis
      const exit = yield* Effect.exit(options.keep(lease.value))
      yield* become("lost", 0)
      yield* Effect.logWarning(`${name}: the registry has lost it, registering again`, ...(Exit.isFailure(exit) ? [exit.cause] : []))
      flaps = (yield* Clock.currentTimeMillis) - since < patience ? flaps + 1 : 0
      const failures = yield* again(flaps)
      yield* become("registered", 0)
      yield* Effect.logInfo(`${name}: registered again${failures === 0 ? "" : ` after ${failures} failed attempts`}`)
    }
  })

  yield* Effect.addFinalizer(() => end)
  yield* become("registering", 0)
  yield* attempt
  yield* become("registered", 0)
  const fiber = yield* Effect.forkScoped(loop)
  // the last word is the end's: the loop is over before it
  yield* Effect.addFinalizer(() => Fiber.interrupt(fiber))
  return state
})
