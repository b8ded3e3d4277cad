/**
 * What the servers of a program and its `App` know of each other: the phase, the app's identity, the endpoints that servers bound, the
 * checks that make it ready. `Lifecycle.layer` is one constant, so every layer of a build that is given it shares one instance; it is
 * built before the first of them and closes after the last, which is how the App learns that all servers are down.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Endpoint } from "./Endpoint.ts"

/** Phases come in this order and never go back. Only `serving` is ready. */
export type Phase = "starting" | "serving" | "stopping" | "stopped"

/**
 * How far a stop has come, in this order: not ready any more; taken out of the registry; waiting until callers know; no new calls, those in flight end;
 * what is left is cut off. A step that has nothing to do is left out.
 */
export type Step = "unready" | "deregistering" | "propagating" | "draining" | "closing"

/** Who the app is: what it registers, what its logs, traces and outgoing calls say of it. */
export interface AppInfo {
  readonly id: string
  readonly name: string
  readonly version: string
  readonly metadata: Readonly<Record<string, string>>
  /** `scheme://host:port` each. */
  readonly endpoints: ReadonlyArray<string>
}

/** The identity of the app that the current fiber works for; named "unknown" outside of any app. */
export const AppInfo: Context.Reference<AppInfo> = Context.Reference<AppInfo>("@effect-kratos/core/Lifecycle/AppInfo", {
  defaultValue: () => unknown
})

const unknown: AppInfo = { id: "", name: "unknown", version: "", metadata: {}, endpoints: [] }

/** The state of one readiness check. */
export interface Check {
  readonly name: string
  readonly ready: boolean
}

/** What is known of a part of the app. */
export interface Detail {
  readonly name: string
  readonly text: string
}

/** A readiness check that takes longer counts as not ready, so that a health endpoint always answers. */
const checkTimeout = "5 seconds"

export class Lifecycle extends Context.Service<
  Lifecycle,
  {
    readonly phase: Effect.Effect<Phase>
    /** The phase, for hot paths. */
    readonly phaseUnsafe: () => Phase
    /** The current phase and every later one; ends after `stopped`. */
    readonly phases: Stream.Stream<Phase>
    /** Moves to a later phase; asking for an earlier one changes nothing. */
    readonly advance: (phase: Phase) => Effect.Effect<void>

    /** How far the stop has come; undefined before it begins. */
    readonly step: Effect.Effect<Step | undefined>
    /** Begins a step of the stop and logs it, at debug level where there is no App; of several servers that drain, the furthest counts. */
    readonly enter: (step: Step, message: string) => Effect.Effect<void>

    readonly info: Effect.Effect<AppInfo>
    /** The identity, for hot paths. */
    readonly infoUnsafe: () => AppInfo
    readonly identify: (info: AppInfo) => Effect.Effect<void>
    /** Calls `listener` with the identity now and whenever it changes, so that a server can prepare the context of its calls. It may not throw. */
    readonly onInfo: (listener: (info: AppInfo) => void) => Effect.Effect<void, never, Scope.Scope>

    /** The endpoints that servers have announced, in order. */
    readonly endpoints: Effect.Effect<ReadonlyArray<Endpoint>>
    /** Adds an endpoint until the scope closes. */
    readonly announce: (endpoint: Endpoint) => Effect.Effect<void, never, Scope.Scope>

    /** Adds a condition of being ready until the scope closes. A check that dies or takes more than 5 seconds is not ready. */
    readonly addCheck: (name: string, check: Effect.Effect<boolean>) => Effect.Effect<void, never, Scope.Scope>
    readonly checks: Effect.Effect<ReadonlyArray<Check>>
    /** Adds something to know about the app that does not make it ready or not, such as `registry`, until the scope closes. */
    readonly addDetail: (name: string, text: Effect.Effect<string>) => Effect.Effect<void, never, Scope.Scope>
    readonly details: Effect.Effect<ReadonlyArray<Detail>>
    /** True while serving with all checks true. */
    readonly ready: Effect.Effect<boolean>

    /** Closes when the last server and the App have closed. */
    readonly scope: Scope.Scope
  }
>()("@effect-kratos/core/Lifecycle") {
  static readonly layer: Layer.Layer<Lifecycle> = Layer.effect(
    Lifecycle,
    Effect.suspend(() => make)
  )
}

const order: Readonly<Record<Phase, number>> = { starting: 0, serving: 1, stopping: 2, stopped: 3 }

const steps: Readonly<Record<Step, number>> = { unready: 1, deregistering: 2, propagating: 3, draining: 4, closing: 5 }

const make = Effect.gen(function* () {
  const scope = yield* Effect.scope
  const phase = yield* SubscriptionRef.make<Phase>("starting")
  const advance = (next: Phase): Effect.Effect<void> =>
    SubscriptionRef.updateSome(phase, (current) => (order[next] > order[current] ? Option.some(next) : Option.none()))
  yield* Effect.addFinalizer(() => advance("stopped"))

  let step: Step | undefined
  const enter = (next: Step, message: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (step === undefined || steps[next] > steps[step]) step = next
      // servers without an App are parts of tests and scripts: their end is no news
      return Effect.annotateLogs(info === unknown ? Effect.logDebug(message) : Effect.logInfo(message), "step", next)
    })

  let info = unknown
  const listeners = new Set<{ readonly notify: (info: AppInfo) => void }>()
  const announced = new Set<{ readonly endpoint: Endpoint }>()
  const checks = new Set<{ readonly name: string; readonly check: Effect.Effect<boolean> }>()

  const details = new Set<{ readonly name: string; readonly text: Effect.Effect<string> }>()

  const check = (self: { readonly name: string; readonly check: Effect.Effect<boolean> }): Effect.Effect<Check> =>
    self.check.pipe(
      Effect.timeoutOrElse({ duration: checkTimeout, orElse: () => Effect.succeed(false) }),
      Effect.catchCause((cause) => Effect.as(Effect.logWarning(`readiness check "${self.name}" died`, cause), false)),
      Effect.map((ready) => ({ name: self.name, ready }))
    )
  const checkAll = Effect.suspend(() => Effect.forEach([...checks], check, { concurrency: "unbounded" }))

  return Lifecycle.of({
    phase: SubscriptionRef.get(phase),
    phaseUnsafe: () => SubscriptionRef.getUnsafe(phase),
    phases: Stream.takeUntil(SubscriptionRef.changes(phase), (current) => current === "stopped"),
    advance,
    step: Effect.sync(() => step),
    enter,
    info: Effect.sync(() => info),
    infoUnsafe: () => info,
    identify: (next) =>
      Effect.sync(() => {
        info = next
        for (const listener of listeners) listener.notify(next)
      }),
    onInfo: (notify) =>
      Effect.andThen(
        member(listeners, { notify }),
        Effect.sync(() => notify(info))
      ),
    endpoints: Effect.sync(() => Array.from(announced, ({ endpoint }) => endpoint)),
    announce: (endpoint) => member(announced, { endpoint }),
    addCheck: (name, check) => member(checks, { name, check }),
    checks: checkAll,
    addDetail: (name, text) => member(details, { name, text }),
    details: Effect.suspend(() => Effect.forEach([...details], ({ name, text }) => Effect.map(text, (text) => ({ name, text })))),
    ready: Effect.suspend(() =>
      SubscriptionRef.getUnsafe(phase) === "serving"
        ? Effect.map(checkAll, (all) => all.every(({ ready }) => ready) && SubscriptionRef.getUnsafe(phase) === "serving")
        : Effect.succeed(false)
    ),
    scope
  })
})

/** Keeps `item` in `set` until the scope closes. */
const member = <A>(set: Set<A>, item: A): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => set.add(item)),
      () => Effect.sync(() => set.delete(item))
    )
  )
