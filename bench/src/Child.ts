/** Child processes whose life is a scope or a fiber: whatever ends the run, Ctrl-C included, ends them too. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as childProcess from "node:child_process"
import { type BenchError, failed } from "./BenchError.ts"

const maxOutput = 1 << 20

/** Variables on top of this process's own. */
export type Environment = Readonly<Record<string, string>>

/** A subject that listens. */
export interface Served {
  readonly port: number
  readonly pid: number
  /** Writes a line to the subject and answers with the number that it prints under that name, as `{"heap":123}`. */
  readonly ask: (name: string) => Effect.Effect<number, BenchError>
}

const kill = (child: childProcess.ChildProcess) => {
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
}

/** Go's runtime gets the one core that the others have; Node's own threads ask nobody. */
const spawn = (command: ReadonlyArray<string>, stdin: "pipe" | "ignore", env: Environment = {}) =>
  childProcess.spawn(command[0] ?? "", command.slice(1), {
    stdio: [stdin, "pipe", "pipe"],
    env: { ...process.env, NODE_ENV: "production", GOMAXPROCS: "1", ...env }
  })

/** Collects the last megabyte of both outputs. */
const collect = (child: childProcess.ChildProcess) => {
  const output = { stdout: "", stderr: "" }
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (output.stdout = (output.stdout + text).slice(-maxOutput)))
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (output.stderr = (output.stderr + text).slice(-maxOutput)))
  return output
}

/** Runs a command to its end and answers with its standard output. Interruption kills it. */
export const run = (command: ReadonlyArray<string>, seconds: number, env?: Environment): Effect.Effect<string, BenchError> =>
  Effect.callback<string, BenchError>((resume) => {
    const child = spawn(command, "ignore", env)
    const output = collect(child)
    child.on("error", (cause) => resume(Effect.fail(failed(`${command[0]}: ${cause.message}`))))
    child.on("close", (code, signal) =>
      resume(
        code === 0
          ? Effect.succeed(output.stdout)
          : Effect.fail(failed(`${command.join(" ")} ended with ${code ?? signal}: ${(output.stderr || output.stdout).trim()}`))
      )
    )
    return Effect.sync(() => kill(child))
  }).pipe(
    Effect.timeoutOrElse({
      duration: `${seconds} seconds`,
      orElse: () => Effect.fail(failed(`${command.join(" ")} did not end within ${seconds} s`))
    })
  )

/** Starts a subject and answers once it has printed its port. It is killed when the scope closes. */
export const serve = (command: ReadonlyArray<string>, env?: Environment): Effect.Effect<Served, BenchError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(command, "pipe", env)),
    (child) => Effect.sync(() => kill(child))
  ).pipe(
    Effect.flatMap((child) => {
      const output = collect(child)
      child.stdin?.on("error", () => undefined) // the subject may be gone first
      const printed = (name: string) =>
        Effect.callback<number, BenchError>((resume) => {
          const pattern = new RegExp(`^\\{"${name}":(\\d+)\\}$`, "m")
          const look = () => {
            const value = pattern.exec(output.stdout)?.[1]
            if (value !== undefined) resume(Effect.succeed(Number(value)))
          }
          const gone = (why: string) => resume(Effect.fail(failed(why)))
          child.on("error", (cause) => gone(cause.message))
          child.on("close", (code, signal) =>
            gone(`ended with ${code ?? signal}: ${(output.stderr || output.stdout).trim().slice(0, 600)}`)
          )
          child.stdout?.on("data", look)
        }).pipe(Effect.timeoutOrElse({ duration: "20 seconds", orElse: () => Effect.fail(failed(`printed no ${name} within 20 s`)) }))
      return Effect.map(printed("port"), (port) => ({
        port,
        pid: child.pid ?? 0,
        ask: (name: string) =>
          Effect.suspend(() => {
            output.stdout = ""
            child.stdin?.write(`${name}\n`)
            return printed(name)
          })
      }))
    })
  )
