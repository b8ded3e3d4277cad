/** Peer programs as processes that live as long as a scope or a fiber. A server prints `{"port":N}` and ends with its standard input. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
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

/** Starts a server and answers with the port that it prints. Closing the scope kills it. */
export const serve = (command: ReadonlyArray<string>, options?: Options): Effect.Effect<number, ProgramError, Scope.Scope> => {
  const failed = (message: string) => Effect.fail(new ProgramError({ command: command.join(" "), message }))
  return Effect.acquireRelease(
    Effect.sync(() => spawn(command, "pipe", options)),
    (child) => Effect.sync(() => kill(child))
  ).pipe(
    Effect.flatMap((child) =>
      Effect.callback<number, ProgramError>((resume) => {
        const output = collect(child)
        child.stdin?.on("error", () => undefined) // the server may be gone first
        child.on("error", (cause) => resume(failed(cause.message)))
        child.on("close", (code, signal) => resume(failed(`ended with ${code ?? signal}: ${output.stderr.slice(-2000)}`)))
        child.stdout?.on("data", () => {
          const port = /^\{"port":(\d+)\}$/m.exec(output.stdout)?.[1]
          if (port !== undefined) resume(Effect.succeed(Number(port)))
        })
      })
    ),
    Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => failed("printed no port within 30 s") })
  )
}

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
