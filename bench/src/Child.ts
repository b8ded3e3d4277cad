/** Child processes whose life is a scope or a fiber: whatever ends the run, Ctrl-C included, ends them too. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as childProcess from "node:child_process"
import { type BenchError, failed } from "./BenchError.ts"

const maxOutput = 1 << 20

const kill = (child: childProcess.ChildProcess) => {
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
}

const spawn = (command: ReadonlyArray<string>, stdin: "pipe" | "ignore") =>
  childProcess.spawn(command[0] ?? "", command.slice(1), {
    stdio: [stdin, "pipe", "pipe"],
    env: { ...process.env, NODE_ENV: "production" }
  })

/** Collects the last megabyte of both outputs. */
const collect = (child: childProcess.ChildProcess) => {
  const output = { stdout: "", stderr: "" }
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (output.stdout = (output.stdout + text).slice(-maxOutput)))
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (output.stderr = (output.stderr + text).slice(-maxOutput)))
  return output
}

/** Runs a command to its end and answers with its standard output. Interruption kills it. */
export const run = (command: ReadonlyArray<string>, seconds: number): Effect.Effect<string, BenchError> =>
  Effect.callback<string, BenchError>((resume) => {
    const child = spawn(command, "ignore")
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

/** Starts a subject and answers with the port that it prints. It is killed when the scope closes. */
export const serve = (command: ReadonlyArray<string>): Effect.Effect<number, BenchError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(command, "pipe")),
    (child) => Effect.sync(() => kill(child))
  ).pipe(
    Effect.flatMap((child) =>
      Effect.callback<number, BenchError>((resume) => {
        const output = collect(child)
        child.stdin?.on("error", () => undefined) // the subject may be gone first
        child.on("error", (cause) => resume(Effect.fail(failed(cause.message))))
        child.on("close", (code, signal) =>
          resume(Effect.fail(failed(`ended with ${code ?? signal}: ${output.stderr.trim().slice(0, 600)}`)))
        )
        child.stdout?.on("data", () => {
          const port = /^\{"port":(\d+)\}$/m.exec(output.stdout)?.[1]
          if (port !== undefined) resume(Effect.succeed(Number(port)))
        })
      })
    ),
    Effect.timeoutOrElse({ duration: "20 seconds", orElse: () => Effect.fail(failed("printed no port within 20 s")) })
  )
