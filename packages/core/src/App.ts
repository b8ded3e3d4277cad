/**
 * The life of a service: who it is, when it is ready, when it is registered, how it stops.
 *
 * `App.layer` goes on top of the servers (`App.layer({ … }).pipe(Layer.provideMerge(Server.layer(…)))`), so they are bound and serving
 * before it and close after it. Start: beforeStart hooks, ready, registered, afterStart hooks; what fails takes down all that was
 * started. Stop: beforeStop hooks, not ready, deregistered, a wait until callers know, then the servers drain and close, then afterStop
 * hooks; no failure on this way skips the rest. Work to do before the servers accept calls belongs into a layer under them.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Endpoint from "./Endpoint.ts"
import * as ConfigReports from "./config/ConfigReports.ts"
import { ConfigStore } from "./config/ConfigStore.ts"
import * as Shutdown from "./internal/shutdown.ts"
import { within } from "./internal/within.ts"
import { AppInfo, Lifecycle, type Phase } from "./Lifecycle.ts"
import * as Backoff from "./registry/Backoff.ts"
import { Registrar } from "./registry/Registrar.ts"
import * as Registration from "./registry/Registration.ts"
import { RegistryError } from "./registry/RegistryError.ts"
import * as Uuid from "./Uuid.ts"

export class App extends Context.Service<
  App,
  {
    readonly info: AppInfo
    readonly phase: Effect.Effect<Phase>
    /** The current phase and every later one; ends after `stopped`. */
    readonly phases: Stream.Stream<Phase>
    /**
     * Stops the program as a signal does, by interrupting the fiber that built it. Returns at once: the caller may be a call that the
     * stop waits for.
     */
    readonly stop: Effect.Effect<void>
  }
>()("@effect-kratos/core/App") {}

export type Signal = Shutdown.Signal

/** One effect or several; several run one after the other. `AppInfo` is the app's in all of them. */
export type Hook = Effect.Effect<unknown, unknown, unknown> | ReadonlyArray<Effect.Effect<unknown, unknown, unknown>>

export interface Hooks {
  /** Before the app is ready. The servers are bound already. A failure stops the start. */
  readonly beforeStart?: Hook | undefined
  /** After the app is ready and registered. A failure stops the start. */
  readonly afterStart?: Hook | undefined
  /** First thing in a stop, while everything still works. All run, whatever fails. */
  readonly beforeStop?: Hook | undefined
  /** After all servers have closed. All run, whatever fails. */
  readonly afterStop?: Hook | undefined
}

export interface Options<H extends Hooks = Hooks> {
  /** Unique among the instances of `name`. Default: a random UUID. */
  readonly id?: string | undefined
  readonly name: string
  /** Default: empty. */
  readonly version?: string | undefined
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** What is registered, in place of the endpoints that the servers announce. */
  readonly endpoints?: ReadonlyArray<Endpoint.Endpoint | string> | undefined
  /** How long the start waits for the registry, and a stop for the deregistration. Default: 10 seconds. */
  readonly registrarTimeout?: Duration.Input | undefined
  /**
   * What a registry that is away at the start means. `background`: the app starts and goes on trying, with jittered back-off, for ever; `/readyz` says
   * so. A `RegistryError` that is permanent fails the start all the same. `required`: every failure, and no answer within `registrarTimeout`, fails
   * the start, as in Kratos. Default: `background`, so that services can be restarted while their registry is down.
   */
  readonly registration?: "background" | "required" | undefined
  readonly registrationBackoff?: Backoff.Options | undefined
  /** For the whole stop, servers included; the process exits with 1 when it is over. `Duration.infinity`: no limit. Default: 30 seconds. */
  readonly stopTimeout?: Duration.Input | undefined
  /** How long to go on serving after the app was deregistered, until callers know. Default: 1 second, none for an app that was not registered. */
  readonly deregisterWait?: Duration.Input | undefined
  readonly hooks?: H | undefined
  /**
   * What stops the program; a second one exits at once. Default: SIGTERM, SIGINT, SIGQUIT. With none the process is left alone: no
   * listeners, no exit code, no exit after `stopTimeout`. For an app inside a program that has signals of its own, and for tests.
   */
  readonly signals?: ReadonlyArray<Signal> | undefined
}

type StartError<H> = ErrorOf<Get<H, "beforeStart" | "afterStart">>
type Services<H> = ServicesOf<Get<H, keyof Hooks>>
type Get<H, K extends keyof Hooks> = K extends keyof H ? H[K] : never
type ErrorOf<T> = T extends Effect.Effect<infer _A, infer E, infer _R> ? E : T extends ReadonlyArray<infer I> ? ErrorOf<I> : never
type ServicesOf<T> = T extends Effect.Effect<infer _A, infer _E, infer R> ? R : T extends ReadonlyArray<infer I> ? ServicesOf<I> : never

/**
 * An app of the given identity. It registers when a `Registrar` is provided to it. Fails with `RegistryError` when that fails and
 * `registration` asks for it, and with what the start hooks fail with. A stop with a failed hook or deregistration goes on to its
 * end and then dies with the first cause, which makes the exit code 1.
 */
export const layer = <const H extends Hooks = {}>(
  options: Options<H>
): Layer.Layer<App | Lifecycle, RegistryError | StartError<H>, Exclude<Services<H>, Scope.Scope>> =>
  Layer.provideMerge(
    Layer.effect(
      App,
      // the hooks lost their types in `make`; the signature says them again
      make(options) as Effect.Effect<App["Service"], RegistryError | StartError<H>, Lifecycle | Scope.Scope | Services<H>>
    ),
    Lifecycle.layer
  )

const make = Effect.fnUntraced(function* (options: Options) {
  const { deregisterWait, hooks = {}, name, registrarTimeout = "10 seconds", registration: mode = "background", version = "" } = options
  const lifecycle = yield* Lifecycle
  const registrar = Option.getOrUndefined(yield* Effect.serviceOption(Registrar))
  const info: AppInfo = {
    id: options.id ?? (yield* Uuid.random),
    name,
    version,
    metadata: options.metadata ?? {},
    endpoints: (options.endpoints ?? (yield* lifecycle.endpoints)).map((one) => (typeof one === "string" ? one : Endpoint.format(one)))
  }
  const context = yield* Effect.context<unknown>()
  const title = version === "" ? name : `${name} ${version}`
  yield* lifecycle.identify(info)
  const config = Option.getOrUndefined(yield* Effect.serviceOption(ConfigStore))
  // a config that is out of date makes nobody unready: a bad file would take the whole fleet down
  if (config !== undefined) yield* lifecycle.addDetail("config", Effect.map(config.report, ConfigReports.describe))

  let fault: Cause.Cause<unknown> | undefined
  const note = (what: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
    Effect.suspend(() => {
      fault ??= cause
      return Effect.logError(`${title}: ${what} failed`, cause)
    })
  const run = (hook: Hook | undefined) => Effect.forEach(listOf(hook), Effect.provideService(AppInfo, info), { discard: true })
  const runAll = (hook: Hook | undefined, what: string) =>
    Effect.forEach(
      listOf(hook),
      (one) => Effect.catchCause(Effect.scoped(Effect.provideService(one, AppInfo, info)), (cause) => note(what, cause)),
      {
        discard: true
      }
    )

  const registration = yield* Scope.make()
  let registered = false
  let state: Registration.State = { status: "registering", failures: 0 }
  const attempt = Effect.gen(function* () {
    if (registrar === undefined) return
    // what a failed attempt has left ends with it
    const scope = yield* Scope.fork(registration)
    yield* registrar.register(info).pipe(
      Scope.provide(scope),
      Effect.provideService(Registration.onState, (next) => (state = next)),
      Effect.onError(() => Scope.close(scope, Exit.void))
    )
    registered = true
    state = { status: "registered", failures: 0 }
    yield* Effect.logInfo(`${title} is registered as ${info.id}`)
  })
  const register = Effect.gen(function* () {
    if (registrar === undefined) return
    if (info.endpoints.length === 0) yield* Effect.logWarning(`${title} registers without an endpoint: is App.layer on top of the servers?`)
    yield* lifecycle.addDetail(
      "registry",
      Effect.sync(() => describe(state))
    )
    if (mode === "required") {
      const exit = yield* within(attempt, registrarTimeout)
      return Option.isNone(exit) ? yield* timedOut("register", registrarTimeout) : yield* exit.value
    }
    const delay = Backoff.make(options.registrationBackoff)
    const first = yield* Deferred.make<void, RegistryError>()
    const loop = Effect.gen(function* () {
      for (let failures = 0; ;) {
        const exit = yield* Effect.exit(attempt)
        if (Exit.isSuccess(exit)) return
        const error = Cause.findErrorOption(exit.cause)
        if (failures === 0 && Option.isSome(error) && error.value.permanent === true) return yield* Effect.fail(error.value)
        state = { status: "registering", failures: ++failures }
        if (failures === 1) yield* Effect.logError(`${title}: registering failed, trying again`, exit.cause)
        else yield* Effect.logDebug(`${title}: attempt ${failures} to register failed`, exit.cause)
        yield* Deferred.succeed(first, undefined)
        yield* Effect.sleep(yield* delay(failures - 1))
      }
    })
    yield* Effect.forkIn(
      Effect.onExit(loop, (exit) => Deferred.done(first, exit)),
      registration,
      { startImmediately: true }
    )
    const waited = yield* Effect.timeoutOption(Deferred.await(first), registrarTimeout)
    if (Option.isNone(waited)) yield* Effect.logError(`${title}: the registry does not answer; going on without it until it does`)
  })
  const deregister = Effect.gen(function* () {
    const exit = yield* within(Scope.close(registration, Exit.void), registrarTimeout)
    if (Option.isNone(exit)) yield* note("deregistering", Cause.fail(timedOut("deregister", registrarTimeout)))
    else if (Exit.isFailure(exit.value)) yield* note("deregistering", exit.value.cause)
    else if (registered) yield* Effect.logInfo(`${title} is deregistered`)
  })

  // once, whoever asks first: the scope that closes, or a stop whose scope is in other hands
  const withdraw = yield* Effect.cached(
    Effect.gen(function* () {
      yield* Effect.logInfo(`${title} stops`)
      yield* runAll(hooks.beforeStop, "beforeStop hook")
      yield* lifecycle.advance("stopping")
      yield* lifecycle.enter("unready", `${title} is not ready any more`)
      if (registrar !== undefined) yield* lifecycle.enter("deregistering", `${title} leaves the registry`)
      yield* deregister
      const unseen = registrar !== undefined && !registered
      const wait = Duration.fromInputUnsafe(unseen ? 0 : (deregisterWait ?? (registered ? "1 second" : 0)))
      if (Duration.isZero(wait)) return
      yield* lifecycle.enter("propagating", `${title} serves for ${Duration.format(wait)} more, until callers know`)
      yield* Effect.sleep(wait)
    }).pipe(Effect.uninterruptible, Effect.provideContext(context))
  )

  const shutdown = yield* Shutdown.make({
    signals: options.signals ?? ["SIGTERM", "SIGINT", "SIGQUIT"],
    timeout: options.stopTimeout ?? "30 seconds",
    withdraw
  })
  yield* Scope.addFinalizer(lifecycle.scope, shutdown.release)
  // a start that fails has a time limit for its way back, too
  yield* Effect.addFinalizer(() => shutdown.begin)

  yield* Effect.logDebug(`${title} starts as ${info.id}`)
  yield* run(hooks.beforeStart)

  const stopped = Effect.gen(function* () {
    yield* lifecycle.advance("stopped")
    yield* runAll(hooks.afterStop, "afterStop hook")
    yield* Effect.logInfo(`${title} has stopped`)
    if (fault !== undefined) return yield* Effect.orDie(Effect.failCause(fault))
  })
  yield* Scope.addFinalizer(lifecycle.scope, Effect.provideContext(stopped, context))
  yield* Effect.addFinalizer(() => Effect.andThen(shutdown.begin, withdraw))

  yield* lifecycle.advance("serving")
  yield* Effect.logInfo(info.endpoints.length === 0 ? `${title} is ready` : `${title} is ready at ${info.endpoints.join(", ")}`)
  yield* register
  yield* run(hooks.afterStart)

  return App.of({ info, phase: lifecycle.phase, phases: lifecycle.phases, stop: shutdown.request })
})

const describe = ({ failures, status }: Registration.State): string =>
  failures === 0 ? status : `${status}, ${failures} ${failures === 1 ? "attempt has" : "attempts have"} failed`

const listOf = (hook: Hook | undefined): ReadonlyArray<Effect.Effect<unknown, unknown, unknown>> =>
  hook === undefined ? [] : Effect.isEffect(hook) ? [hook] : hook

const timedOut = (method: string, duration: Duration.Input): RegistryError =>
  new RegistryError({ method, cause: new Cause.TimeoutError(`took longer than ${Duration.format(Duration.fromInputUnsafe(duration))}`) })
