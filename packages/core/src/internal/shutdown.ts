/**
 * How a process ends. The first signal stops the program: it interrupts the fiber that the layers were built in, whose scope then runs
 * every finalizer. A second signal, or a stop that takes too long, exits at once. A stop that came to its end exits with 0, where a
 * runner of main programs would exit with 130 for the interrupt.
 *
 * Listeners stay until the program is over, not only until the App's scope closes, because finalizers under it may hang too.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Listener, Process } from "./process.ts"

/** Signals that ask a process to end, and their numbers. */
const numbers = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const

export type Signal = keyof typeof numbers

export interface Options {
  /** None: the process belongs to someone else; no listener, no exit. */
  readonly signals: ReadonlyArray<Signal>
  readonly timeout: Duration.Input
  /** What the App itself has to do, for a program whose fiber is not known. */
  readonly withdraw: Effect.Effect<void>
}

export interface Shutdown {
  /** Stops the program; returns at once. */
  readonly request: Effect.Effect<void>
  /** The stop has begun: the time runs. */
  readonly begin: Effect.Effect<void>
  /** All servers are closed. */
  readonly release: Effect.Effect<void>
}

/**
 * One press of a key can arrive twice: from the terminal, which signals the whole process group, and from the package runner above,
 * which passes on what it got. Milliseconds.
 */
const echo = 200

/** The code that runners of main programs exit with when the main fiber was interrupted. */
const interrupted = 130

const ours = new WeakSet<Listener>()

export const make = Effect.fnUntraced(function* (options: Options) {
  const process = options.signals.length === 0 ? undefined : yield* Process
  const clock = yield* Clock.Clock
  const timeout = Duration.fromInputUnsafe(options.timeout)
  const main = yield* Effect.fiber
  const run = Effect.runForkWith(yield* Effect.context<never>())

  let requested = false
  let first: { readonly signal: Signal; readonly at: number } | undefined
  let relayed = false
  let forced = false
  let cancel: (() => void) | undefined

  const isOver = () => main.pollUnsafe() !== undefined
  const foreign = (event: string) => (process?.listeners(event) ?? []).filter((listener) => !ours.has(listener))

  const force = (code: number, message: string) => {
    forced = true
    run(Effect.logError(message))
    process?.exit(code)
  }

  const begin = () => {
    if (cancel !== undefined || process === undefined || !Duration.isFinite(timeout)) return
    cancel = process.timer(Duration.toMillis(timeout), () => force(1, `the stop took longer than ${Duration.format(timeout)}: exiting`))
  }

  const onExit = () => {
    if (process !== undefined && !forced && process.exitCode === interrupted) process.exitCode = 0
  }

  /** Interrupts the program. False when its fiber is not known: it was built aside, and that fiber is gone. */
  const interrupt = (): boolean => {
    begin()
    if (!requested) process?.on("exit", onExit)
    requested = true
    if (isOver()) return false
    main.addObserver(() => end(false))
    main.interruptUnsafe(main.id)
    return true
  }

  /** Tells whoever runs the main program, who listens to SIGTERM at least; false when there is nobody. */
  const relay = (): boolean => {
    const runners = foreign("SIGTERM")
    relayed = runners.length > 0
    for (const runner of runners) runner("SIGTERM", numbers.SIGTERM)
    return relayed
  }

  const receive = (signal: Signal) => {
    const now = clock.currentTimeMillisUnsafe()
    if (first !== undefined) {
      if (signal !== first.signal || now - first.at > echo) force(128 + numbers[signal], `${signal} while stopping: exiting at once`)
      return
    }
    first = { signal, at: now }
    run(Effect.logInfo(`${signal} received, stopping`))
    const known = interrupt()
    if (foreign(signal).length > 0) return
    const passedOn = relay()
    if (known || passedOn) return
    run(
      options.withdraw.pipe(
        Effect.andThen(Effect.logWarning("nobody closes the layers of this program: run it with Layer.launch, or with `signals: []`")),
        Effect.ensuring(Effect.sync(() => process?.exit(128 + numbers[signal])))
      )
    )
  }

  const listeners = options.signals.map((signal) => [signal, () => receive(signal)] as const)

  const end = (keepExitCode: boolean) => {
    cancel?.()
    for (const [signal, listener] of listeners) process?.off(signal, listener)
    if (!keepExitCode) process?.off("exit", onExit)
  }

  if (process !== undefined) {
    for (const [signal, listener] of listeners) {
      ours.add(listener)
      process.on(signal, listener)
    }
  }

  const shutdown: Shutdown = {
    request: Effect.suspend(() => {
      if (interrupt() || relay()) return Effect.void
      return Effect.asVoid(Effect.forkDetach(options.withdraw))
    }),
    begin: Effect.sync(begin),
    release: Effect.sync(() => {
      // while the program's fiber lives, its end is the end; one that is not known still has to exit after us
      if (!requested || isOver()) end(requested && (first !== undefined || relayed))
    })
  }
  return shutdown
})
