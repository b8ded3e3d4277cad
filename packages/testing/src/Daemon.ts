/**
 * Servers that somebody else made, for tests against the real thing: started on the ports that a test gives, probed until they answer, stopped, killed and
 * started again on the same data. Gone when the scope closes.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as childProcess from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import * as net from "node:net"
import { delimiter, join } from "node:path"

export class DaemonError extends Schema.TaggedError<DaemonError>("@effect-kratos/testing/DaemonError")("DaemonError", {
  command: Schema.String,
  message: Schema.String
}) {}

export interface Options {
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** Added to the environment of this process. */
  readonly environment?: Readonly<Record<string, string>> | undefined
  /** Succeeds when the server serves; it is tried again until then. */
  readonly probe: Effect.Effect<unknown, unknown>
  /** Default 60 seconds. */
  readonly readyTimeout?: Duration.Input | undefined
}

export interface Daemon {
  /** Starts it and waits until it serves; does nothing when it runs. */
  readonly start: Effect.Effect<void, DaemonError>
  /** SIGTERM; waits until it has ended, and kills it after ten seconds. */
  readonly stop: Effect.Effect<void>
  /** SIGKILL; waits until it has ended. */
  readonly kill: Effect.Effect<void>
  /** SIGSTOP and SIGCONT: it is there, and does nothing. On Linux, `pause` returns when each of its threads has stopped; elsewhere, when they have been told. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
}

const maxOutput = 16_384

/** A server that runs already. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Daemon, DaemonError, Scope.Scope> {
  const { args, command, environment, probe, readyTimeout = "60 seconds" } = options
  let child: childProcess.ChildProcess | undefined
  let output = ""

  const ended = (one: childProcess.ChildProcess): boolean => one.exitCode !== null || one.signalCode !== null
  const exit = (one: childProcess.ChildProcess): Effect.Effect<void> =>
    Effect.callback((resume) => {
      if (ended(one)) return resume(Effect.void)
      one.once("exit", () => resume(Effect.void))
    })
  const fail = (message: string) => new DaemonError({ command, message: `${message}\n${output}` })

  const spawn = Effect.callback<void, DaemonError>((resume) => {
    output = ""
    const started = childProcess.spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } })
    const keep = (text: string) => void (output = (output + text).slice(-maxOutput))
    started.stdout.setEncoding("utf8").on("data", keep)
    started.stderr.setEncoding("utf8").on("data", keep)
    started.once("error", (error) => resume(Effect.fail(fail(error.message))))
    started.once("spawn", () => {
      child = started
      resume(Effect.void)
    })
  })
  const ready = Effect.suspend(() =>
    child === undefined || ended(child) ? Effect.fail(fail(`ended with ${child?.exitCode ?? child?.signalCode}`)) : Effect.void
  ).pipe(
    Effect.andThen(Effect.timeout(probe, "2 seconds")),
    Effect.retry({ schedule: Schedule.spaced("50 millis"), while: (error) => !(error instanceof DaemonError) }),
    Effect.timeoutOrElse({ duration: readyTimeout, orElse: () => Effect.suspend(() => Effect.fail(fail("does not serve"))) }),
    Effect.mapError((error) => (error instanceof DaemonError ? error : fail(String(error))))
  )
  const signal = (name: NodeJS.Signals): Effect.Effect<void> => Effect.sync(() => void child?.kill(name))
  const awaitEnd = Effect.suspend(() => (child === undefined ? Effect.void : exit(child)))
  const kill = Effect.andThen(signal("SIGKILL"), awaitEnd)
  const start = Effect.suspend(() => (child === undefined || ended(child) ? Effect.asVoid(Effect.andThen(spawn, ready)) : Effect.void))

  yield* Effect.addFinalizer(() => kill)
  yield* start
  return {
    start,
    // a paused process takes no SIGTERM
    stop: Effect.andThen(signal("SIGCONT"), signal("SIGTERM")).pipe(
      Effect.andThen(Effect.timeoutOrElse(awaitEnd, { duration: "10 seconds", orElse: () => kill }))
    ),
    kill,
    pause: Effect.andThen(
      signal("SIGSTOP"),
      Effect.repeat(
        Effect.sync(() => child?.pid === undefined || ended(child) || hasStopped(child.pid)),
        { until: (yes) => yes, schedule: Schedule.spaced("2 millis") }
      )
    ),
    resume: signal("SIGCONT")
  }
})

/** Whether no thread of a process runs; where the system does not say so, yes. */
const hasStopped = (pid: number): boolean => {
  const tasks = `/proc/${pid}/task`
  try {
    // the state follows the name, which is in brackets and may hold anything
    return readdirSync(tasks).every((task) => /\) [TtZX] /.test(readFileSync(`${tasks}/${task}/stat`, "latin1")))
  } catch {
    // a thread has ended while we looked, or there is nothing to look at
    return !existsSync(tasks)
  }
}

/**
 * A port of 127.0.0.1 that nobody uses at present. It lies below those that systems give to outgoing connections (Linux: from 32768): there, a client that
 * calls again and again while nobody listens gets connected to itself one day, and keeps the port from whom it was for.
 */
export const freePort: Effect.Effect<number> = Effect.flatMap(Random.nextIntBetween(10_000, 32_768), (port) =>
  Effect.callback<number | undefined>((resume) => {
    const server = net.createServer()
    server.once("error", () => resume(Effect.succeed(undefined)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(port))))
  })
).pipe(Effect.repeat({ until: (port) => port !== undefined }))

/** Where a program is, on the path or in one of `folders`; undefined when the machine does not have it. */
export const find = (name: string, folders: ReadonlyArray<string> = []): string | undefined =>
  [...(process.env["PATH"] ?? "").split(delimiter), ...folders].map((folder) => join(folder, name)).find(existsSync)

/** Why a suite that needs programs is skipped; undefined when they are all there. */
export const missing = (...names: ReadonlyArray<string>): string | undefined => {
  const absent = names.filter((name) => find(name) === undefined)
  return absent.length === 0 ? undefined : `no ${absent.join(", ")} on this machine`
}

/** Succeeds when a GET is answered with 2xx. */
export const probeHttp = (url: string): Effect.Effect<void, unknown> =>
  Effect.tryPromise((signal) => fetch(url, { signal })).pipe(
    Effect.flatMap((response) => (response.ok ? Effect.promise(() => response.text()) : Effect.fail(response.status))),
    Effect.asVoid
  )

/** Succeeds when a port takes connections. */
export const probePort = (port: number): Effect.Effect<void, unknown> =>
  Effect.callback((resume) => {
    const socket = net.connect(port, "127.0.0.1")
    socket
      .once("connect", () => {
        socket.destroy()
        resume(Effect.void)
      })
      .once("error", (error) => resume(Effect.fail(error)))
    return Effect.sync(() => socket.destroy())
  })
