/**
 * One process a core. The program is started in so many workers that share its port; a supervisor above them restarts those that die, replaces them one
 * by one on SIGHUP, and on SIGTERM lets all of them drain. It holds the listening socket and hands connections to the workers in turn (`node:cluster`), so
 * that the port stays open, and no connection is lost, while workers come and go.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import cluster, { type Worker } from "node:cluster"
import { availableParallelism } from "node:os"

export interface Options {
  /** How many. Default: one for each core that the process may use. */
  readonly workers?: number | undefined
  /** How long a worker may take to stop before it is killed. Default 40 seconds: more than `App` gives itself. */
  readonly stopTimeout?: Duration.Input | undefined
  /** What worker `index`, from 0, finds in its environment besides ours. */
  readonly env?: ((index: number) => Readonly<Record<string, string>>) | undefined
}

/** A worker ended before any had listened: there is something wrong with the program, and to start it again would not help. */
export class WorkerError extends Schema.TaggedError<WorkerError>("@effect-kratos/transport/WorkerError")("WorkerError", {
  message: Schema.String
}) {}

/**
 * Runs `program` in workers: the script of this process is started again in each, comes here too, and runs the program. SIGTERM, SIGINT and SIGQUIT end
 * the supervisor once its workers have ended; a second one kills them.
 */
export const run = <A, E, R>(program: Effect.Effect<A, E, R>, options: Options = {}): Effect.Effect<void, E | WorkerError, R> =>
  Effect.suspend((): Effect.Effect<void, E | WorkerError, R> => (cluster.isPrimary ? supervise(options) : work(program)))

/** What the supervisor says to a worker. A signal would be the second one to a worker that has got one from its terminal. */
const STOP = "@effect-kratos/transport/Workers/stop"
/** What a worker says when it has begun to hear that: earlier it would be lost. */
const HEARS = "@effect-kratos/transport/Workers/hears"

const work = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    // a supervisor that dies must not end this process in the middle of its calls, as Node would
    if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true
    const stop = Effect.callback<void>((resume) => {
      const end = () => resume(Effect.void)
      process.on("message", (message) => message === STOP && end())
      process.once("disconnect", end)
      process.send?.(HEARS)
    })
    yield* Effect.raceFirst(program, stop)
    // the channel would keep the process alive
    if (process.connected) process.disconnect()
  })

const supervise = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<void, WorkerError> {
  const { workers = availableParallelism() } = options
  const state: State = { options, listened: false }
  const slots = yield* Effect.forEach(Array.from({ length: Math.max(1, workers) }), (_, index) =>
    Effect.map(Queue.unbounded<Deferred.Deferred<void>>(), (replacements) => ({ index, replacements }))
  )
  const roll = Effect.forEach(
    slots,
    ({ replacements }) =>
      Effect.gen(function* () {
        const done = yield* Deferred.make<void>()
        yield* Queue.offer(replacements, done)
        yield* Deferred.await(done)
      }),
    { discard: true }
  )
  yield* Effect.logInfo(`${slots.length} workers`)
  yield* Effect.raceFirst(
    Effect.raceFirst(
      Effect.forEach(slots, (slot) => keep(slot, state), { concurrency: "unbounded", discard: true }),
      hangUps(roll)
    ),
    ending
  )
})

interface State {
  readonly options: Options
  /** A worker has listened: the program works. */
  listened: boolean
}

interface Slot {
  readonly index: number
  /** Requests to replace the worker. */
  readonly replacements: Queue.Queue<Deferred.Deferred<void>>
}

/** Waits for a signal to end. Those that come later kill. */
const ending: Effect.Effect<void> = Effect.flatMap(Clock.Clock, (clock) =>
  Effect.callback<void>((resume) => {
    let first: number | undefined
    for (const [signal, number] of [
      ["SIGTERM", 15],
      ["SIGINT", 2],
      ["SIGQUIT", 3]
    ] as const) {
      process.on(signal, () => {
        const now = clock.currentTimeMillisUnsafe()
        if (first === undefined) {
          first = now
          // a runner of main programs takes the signal for an interrupt, and would exit with 130
          process.once("exit", () => {
            if (process.exitCode === 130) process.exitCode = 0
          })
          resume(Effect.void)
        } else if (now - first > ECHO) {
          for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill("SIGKILL")
          process.exit(128 + number)
        }
      })
    }
  })
)

/** One press of a key can arrive twice, from the terminal and from the package runner above. Milliseconds. */
const ECHO = 200

/** Runs `task` for each SIGHUP, one after the other. */
const hangUps = (task: Effect.Effect<void>): Effect.Effect<never> =>
  Effect.gen(function* () {
    const asked = yield* Queue.sliding<void>(1)
    const listener = () => void Queue.offerUnsafe(asked, undefined)
    process.on("SIGHUP", listener)
    return yield* Effect.ensuring(
      Effect.forever(Effect.andThen(Queue.take(asked), task)),
      Effect.sync(() => process.removeListener("SIGHUP", listener))
    )
  })

/** A worker of this moment. */
interface Running {
  readonly listening: Deferred.Deferred<void>
  /** Ends with the worker; interrupting it stops the worker and waits for its end. */
  readonly fiber: Fiber.Fiber<string>
}

/** Keeps a worker running. */
const keep = (slot: Slot, state: State): Effect.Effect<never, WorkerError> =>
  Effect.suspend(() => {
    let current: Running | undefined
    const start = Effect.gen(function* () {
      const listening = yield* Deferred.make<void>()
      return { listening, fiber: yield* Effect.forkDetach(life(slot, state, listening)) }
    })
    const loop = Effect.gen(function* () {
      let failures = 0
      let since = yield* Clock.currentTimeMillis
      current = yield* start
      for (;;) {
        const event = yield* Effect.raceFirst(Fiber.join(current.fiber), Queue.take(slot.replacements))
        if (typeof event === "string") {
          if (!state.listened) return yield* new WorkerError({ message: `worker ${slot.index} ${event} before it listened` })
          failures = (yield* Clock.currentTimeMillis) - since > STEADY ? 0 : failures + 1
          const delay = Math.min(MAX_DELAY, FIRST_DELAY * 2 ** failures)
          yield* Effect.logWarning(`worker ${slot.index} ${event}, the next one starts in ${delay} ms`)
          yield* Effect.sleep(delay)
          since = yield* Clock.currentTimeMillis
          current = yield* start
          continue
        }
        const next = yield* start
        const died = yield* Effect.raceFirst(Deferred.await(next.listening), Fiber.join(next.fiber)).pipe(
          Effect.onInterrupt(() => Fiber.interrupt(next.fiber))
        )
        if (typeof died === "string") {
          yield* Effect.logError(`the replacement of worker ${slot.index} ${died} before it listened; the old one stays`)
        } else {
          const old = current
          current = next
          since = yield* Clock.currentTimeMillis
          yield* Fiber.interrupt(old.fiber)
        }
        yield* Deferred.succeed(event, undefined)
      }
    })
    return Effect.ensuring(
      loop,
      Effect.suspend(() => (current === undefined ? Effect.void : Fiber.interrupt(current.fiber)))
    )
  })

/** A worker that lived so long was well; milliseconds. */
const STEADY = 10_000
const FIRST_DELAY = 100
const MAX_DELAY = 30_000

/** The life of one worker: says how it ended. */
const life = ({ index }: Slot, state: State, listening: Deferred.Deferred<void>): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const { env, stopTimeout = "40 seconds" } = state.options
    const worker = cluster.fork(env?.(index))
    worker.once("listening", () => {
      state.listened = true
      Deferred.doneUnsafe(listening, Exit.void)
    })
    worker.once("error", ignore)
    let hears = false
    let told = false
    const tell = (): void => void (hears && told && worker.isConnected() && worker.send(STOP, ignore))
    worker.on("message", (message) => {
      if (message !== HEARS) return
      hears = true
      tell()
    })
    worker.once("exit", (code, signal) => resume(Effect.succeed(signal === null ? `exited with ${code}` : `was ended by ${signal}`)))
    return Effect.andThen(
      Effect.sync(() => {
        told = true
        tell()
      }),
      ended(worker).pipe(
        Effect.timeoutOrElse({
          duration: stopTimeout,
          orElse: () =>
            Effect.andThen(
              Effect.logError(`worker ${index} has not stopped within ${Duration.format(Duration.fromInputUnsafe(stopTimeout))}`),
              Effect.suspend(() => {
                worker.process.kill("SIGKILL")
                return ended(worker)
              })
            )
        })
      )
    )
  })

const ended = (worker: Worker): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (worker.isDead()) return resume(Effect.void)
    const end = () => resume(Effect.void)
    worker.once("exit", end)
    return Effect.sync(() => worker.removeListener("exit", end))
  })

// "exit" follows
const ignore = (): void => {}
