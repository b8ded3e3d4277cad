/**
 * Programs as child processes that live as long as a scope: started, awaited until they say that they are ready, sent signals, killed, and in any case
 * reaped when the scope closes. For nodes of a fleet under test.
 *
 * The child's standard input stays open as long as its parent lives: a program that ends with it is not left behind when the parent is killed.
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as childProcess from "node:child_process"
import * as readline from "node:readline"

export class ProgramError extends Schema.TaggedError<ProgramError>("@effect-kratos/testing/ProgramError")("ProgramError", {
  command: Schema.String,
  message: Schema.String
}) {}

export interface Options<A> {
  /** Added to the environment of this process. */
  readonly environment?: Readonly<Record<string, string>> | undefined
  /** Reads what a line of standard output says; the first that is not undefined is the program's `ready`. */
  readonly ready: (line: string) => A | undefined
  /** Time until it must have said so. Default 30 seconds. */
  readonly readyTimeout?: Duration.Input | undefined
  /** Sees every later line of standard output. */
  readonly onLine?: ((line: string) => void) | undefined
}

export interface Exited {
  /** The exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals
  /** The end of what it wrote to standard error, 64 KiB at most. */
  readonly stderr: string
}

export interface Program<out A> {
  readonly pid: number
  /** What its ready line said. */
  readonly ready: A
  readonly isRunning: () => boolean
  /** Sends a signal; nothing happens when the program has ended. */
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** SIGTERM; waits until it has ended. */
  readonly terminate: Effect.Effect<Exited>
  /** SIGKILL; waits until it has ended. */
  readonly kill: Effect.Effect<Exited>
  /** Waits until it has ended, by whatever cause. */
  readonly exited: Effect.Effect<Exited>
}

const MAX_STDERR = 65_536

/** Starts a program and waits until it is ready. One that ends before is a failure, with what it wrote to standard error. */
export const start = Effect.fnUntraced(function* <A>(
  command: readonly [string, ...ReadonlyArray<string>],
  options: Options<A>
): Effect.fn.Return<Program<A>, ProgramError, Scope.Scope> {
  const failed = (message: string) => new ProgramError({ command: command.join(" "), message })
  const ready = yield* Deferred.make<A, ProgramError>()
  const ended = yield* Deferred.make<Exited>()
  let running = true
  let stderr = ""
  // what it says before it is ready, for those that log to standard output
  let prologue = ""
  const said = () => `${prologue}${stderr}`.slice(-2000)

  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = childProcess.spawn(command[0], command.slice(1), {
        stdio: ["pipe", "pipe", "pipe"],
        env: { ...process.env, ...options.environment }
      })
      const end = (code: Exited["code"], why: string) => {
        running = false
        Deferred.doneUnsafe(ready, Effect.fail(failed(`${why} before it was ready: ${said()}`)))
        Deferred.doneUnsafe(ended, Effect.succeed({ code, stderr }))
      }
      child.on("error", (cause) => end(1, cause.message))
      // after the last output
      child.on("close", (code, signal) => end(code ?? signal ?? 1, `ended with ${code ?? signal}`))
      child.stdin.on("error", () => undefined) // it may be gone first
      child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-MAX_STDERR)))
      let waiting = true
      readline.createInterface({ input: child.stdout, crlfDelay: Infinity }).on("line", (line) => {
        if (!waiting) return options.onLine?.(line)
        const answer = options.ready(line)
        if (answer === undefined) {
          prologue = `${prologue}${line}\n`.slice(-MAX_STDERR)
          return
        }
        waiting = false
        Deferred.doneUnsafe(ready, Effect.succeed(answer))
      })
      return child
    }),
    (child) =>
      Effect.suspend(() => {
        if (running) child.kill("SIGKILL")
        child.stdin.destroy()
        return Deferred.await(ended)
      })
  )
  const signal = (name: NodeJS.Signals) => Effect.sync(() => void (running && child.kill(name)))
  const exited = Deferred.await(ended)
  const answer = yield* Deferred.await(ready).pipe(
    Effect.timeoutOrElse({
      duration: options.readyTimeout ?? "30 seconds",
      orElse: () => Effect.suspend(() => Effect.fail(failed(`was not ready in time: ${said()}`)))
    })
  )
  return {
    pid: child.pid ?? -1,
    ready: answer,
    isRunning: () => running,
    signal,
    terminate: Effect.andThen(signal("SIGTERM"), exited),
    kill: Effect.andThen(signal("SIGKILL"), exited),
    exited
  }
})

/** The same for a file of JavaScript or TypeScript, run by the Node that runs this program. */
export const node = <A>(
  file: string,
  args: ReadonlyArray<string>,
  options: Options<A>
): Effect.Effect<Program<A>, ProgramError, Scope.Scope> => start([process.execPath, file, ...args], options)

export interface Ended {
  /** The exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, with nothing on its standard input, and collects what it writes. It is killed after `timeout`, default 60 seconds. */
export const run = (
  command: readonly [string, ...ReadonlyArray<string>],
  options: {
    readonly cwd?: string | undefined
    readonly environment?: Readonly<Record<string, string>> | undefined
    readonly timeout?: Duration.Input | undefined
  } = {}
): Effect.Effect<Ended, ProgramError> =>
  Effect.callback<Ended, ProgramError>((resume) => {
    const child = childProcess.spawn(command[0], command.slice(1), {
      cwd: options.cwd,
      env: { ...process.env, ...options.environment },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    child.on("error", ({ message }) => resume(Effect.fail(new ProgramError({ command: command.join(" "), message }))))
    child.on("close", (code, signal) => resume(Effect.succeed({ code: code ?? signal ?? 1, stdout, stderr })))
    return Effect.sync(() => child.kill("SIGKILL"))
  }).pipe(
    Effect.timeoutOrElse({
      duration: options.timeout ?? "60 seconds",
      orElse: () => Effect.fail(new ProgramError({ command: command.join(" "), message: "has not ended in time" }))
    })
  )
