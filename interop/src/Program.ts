/** Peer programs as processes that live as long as a scope or a fiber. A server prints `{"port":N}` and ends with its standard input. */
import * as Daemon from "@effect-kratos/testing/Daemon"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"

export class ProgramError extends Schema.TaggedError<ProgramError>("@effect-kratos/interop/ProgramError")("ProgramError", {
  command: Schema.String,
  message: Schema.String
}) {}

export interface Output {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

export interface Options {
  readonly environment?: Readonly<Record<string, string>> | undefined
  /** Default 60. */
  readonly seconds?: number | undefined
}

const maxOutput = 4 << 20

const spawn = (command: ReadonlyArray<string>, stdin: "pipe" | "ignore", options: Options | undefined) =>
  childProcess.spawn(command[0] ?? "", command.slice(1), {
    stdio: [stdin, "pipe", "pipe"],
    env: { ...process.env, ...options?.environment }
  })

const kill = (child: childProcess.ChildProcess) => {
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
}

const collect = (child: childProcess.ChildProcess) => {
  const output = { stdout: "", stderr: "" }
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (output.stdout = (output.stdout + text).slice(-maxOutput)))
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (output.stderr = (output.stderr + text).slice(-maxOutput)))
  return output
}

/** Runs a program to its end, whatever its exit code. Interruption and the time limit kill it. */
export const run = (command: ReadonlyArray<string>, options?: Options): Effect.Effect<Output, ProgramError> => {
  const text = command.join(" ")
  const seconds = options?.seconds ?? 60
  return Effect.callback<Output, ProgramError>((resume) => {
    const child = spawn(command, "ignore", options)
    const output = collect(child)
    child.on("error", (cause) => resume(Effect.fail(new ProgramError({ command: text, message: cause.message }))))
    child.on("close", (code, signal) => resume(Effect.succeed({ code: code ?? signal ?? "unknown", ...output })))
    return Effect.sync(() => kill(child))
  }).pipe(
    Effect.timeoutOrElse({
      duration: `${seconds} seconds`,
      orElse: () => Effect.fail(new ProgramError({ command: text, message: `did not end within ${seconds} s` }))
    })
  )
}

/** A server that runs. */
export interface Server {
  readonly port: number
  /** Closes its standard input and waits until it has ended, 10 seconds at most. */
  readonly end: Effect.Effect<Output, ProgramError>
}

/** Starts a server that prints its port. Closing the scope kills it. */
export const start = (command: ReadonlyArray<string>, options?: Options): Effect.Effect<Server, ProgramError, Scope.Scope> =>
  Effect.gen(function* () {
    const failed = (message: string) => new ProgramError({ command: command.join(" "), message })
    const child = yield* spawned(command, "pipe", options)
    const output = collect(child)
    const ended = Effect.callback<Output, ProgramError>((resume) => {
      const done = () => resume(Effect.succeed({ code: child.exitCode ?? child.signalCode ?? "unknown", ...output }))
      if (child.exitCode !== null || child.signalCode !== null) return done()
      child.on("close", done)
    }).pipe(Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.fail(failed("did not end with its standard input")) }))
    child.stdin?.on("error", () => undefined) // the server may be gone first
    const port = yield* Effect.callback<number, ProgramError>((resume) => {
      child.on("error", (cause) => resume(Effect.fail(failed(cause.message))))
      child.on("close", (code, signal) => resume(Effect.fail(failed(`ended with ${code ?? signal}: ${output.stderr.slice(-2000)}`))))
      child.stdout?.on("data", () => {
        const port = /^\{"port":(\d+)\}$/m.exec(output.stdout)?.[1]
        if (port !== undefined) resume(Effect.succeed(Number(port)))
      })
    }).pipe(Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => Effect.fail(failed("printed no port within 30 s")) }))
    return {
      port,
      end: Effect.andThen(
        Effect.sync(() => child.stdin?.end()),
        ended
      )
    }
  })

/** The same, of which only the port is wanted. */
export const serve = (command: ReadonlyArray<string>, options?: Options): Effect.Effect<number, ProgramError, Scope.Scope> =>
  Effect.map(start(command, options), ({ port }) => port)

/** Starts a server that must be told its port: a free one, which it may lose to another program; then it is tried again. Ready when it takes connections. */
export const serveOn = (
  command: (port: number) => ReadonlyArray<string>,
  options?: Options
): Effect.Effect<number, ProgramError, Scope.Scope> =>
  Effect.gen(function* () {
    const port = yield* Daemon.freePort
    const text = command(port).join(" ")
    const failed = (message: string) => Effect.fail(new ProgramError({ command: text, message }))
    const child = yield* spawned(command(port), "ignore", options)
    const output = collect(child)
    const gone = Effect.callback<never, ProgramError>((resume) => {
      child.on("error", (cause) => resume(failed(cause.message)))
      child.on("close", (code, signal) => resume(failed(`ended with ${code ?? signal}: ${(output.stderr + output.stdout).slice(-2000)}`)))
    })
    const ready = Effect.suspend(() => reachable(port)).pipe(
      Effect.repeat({ until: (yes) => yes, schedule: Schedule.spaced("50 millis") }),
      Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => failed("takes no connections within 30 s") })
    )
    yield* Effect.raceFirst(ready, gone)
    return port
  }).pipe(Effect.retry({ times: 2 }))

const spawned = (command: ReadonlyArray<string>, stdin: "pipe" | "ignore", options: Options | undefined) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(command, stdin, options)),
    (child) => Effect.sync(() => kill(child))
  )

const reachable = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = net.connect(port, "127.0.0.1")
    const end = (yes: boolean) => {
      socket.destroy()
      resume(Effect.succeed(yes))
    }
    socket.on("connect", () => end(true)).on("error", () => end(false))
    return Effect.sync(() => socket.destroy())
  })

/** What `install.sh` builds lives here, outside the repository. */
export const cache = path.join(process.env["XDG_CACHE_HOME"] ?? path.join(os.homedir(), ".cache"), "effect-kratos", "interop")

/** The absolute path of a program that `install.sh` has built, that is on PATH or, as daemons are, beside it. */
export const which = (program: string): string | undefined =>
  [path.join(cache, "go"), ...(process.env["PATH"] ?? "").split(path.delimiter), "/usr/sbin", "/usr/local/sbin"]
    .map((folder) => path.join(folder, program))
    .find((file) => fs.existsSync(file) && (fs.statSync(file).mode & 0o111) !== 0)

/** Says which of these programs cannot be found, or nothing. */
export const missing =
  (...programs: ReadonlyArray<string>) =>
  (): string | undefined => {
    const lacking = programs.filter((program) => which(program) === undefined)
    return lacking.length === 0
      ? undefined
      : `${lacking.join(", ")} not found; interop/install.sh gets ${lacking.length === 1 ? "it" : "them"}`
  }
