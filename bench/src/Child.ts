/** Child processes whose life is a scope or a fiber: whatever ends the run, Ctrl-C included, ends them too. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as childProcess from "node:child_process"
import { type BenchError, failed } from "./BenchError.ts"

const maxOutput = 1 << 20

/** Variables on top of this process's own. */
export type Environment = Readonly<Record<string, string>>

/** A running subject. */
export interface Started {
  readonly pid: number
  /** The first line that it has printed. */
  readonly first: unknown
  /** Writes a line to the subject and answers with the next line of JSON that it prints, within so many seconds. */
  readonly ask: (line: string, seconds: number) => Effect.Effect<unknown, BenchError>
}

/** A subject that listens. */
export interface Served extends Started {
  readonly port: number
}

const START_SECONDS = 20

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

/** Starts a subject and answers once it has printed its first line of JSON. It is killed when the scope closes. */
export const start = (command: ReadonlyArray<string>, env?: Environment): Effect.Effect<Started, BenchError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(command, "pipe", env)),
    (child) => Effect.sync(() => kill(child))
  ).pipe(
    Effect.flatMap((child) => {
      const output = collect(child)
      child.stdin?.on("error", () => undefined) // the subject may be gone first
      const line = (seconds: number) =>
        Effect.callback<unknown, BenchError>((resume) => {
          const end = (result: Effect.Effect<unknown, BenchError>) => {
            stop()
            resume(result)
          }
          const look = () => {
            // what a framework prints beside it is passed over
            const found = /^\{.*\}$/m.exec(output.stdout)?.[0]
            if (found === undefined || !output.stdout.includes(`${found}\n`)) return
            output.stdout = ""
            end(Effect.try({ try: () => JSON.parse(found) as unknown, catch: () => failed(`printed ${found}`) }))
          }
          const onError = (cause: Error) => end(Effect.fail(failed(cause.message)))
          const onClose = (code: number | null, signal: NodeJS.Signals | null) => {
            const said = (output.stderr || output.stdout).trim().slice(0, 600)
            end(Effect.fail(failed(`ended with ${code ?? signal}: ${said}`)))
          }
          const stop = () => {
            child.off("error", onError).off("close", onClose)
            child.stdout?.off("data", look)
          }
          child.on("error", onError).on("close", onClose)
          child.stdout?.on("data", look)
          look()
          return Effect.sync(stop)
        }).pipe(
          Effect.timeoutOrElse({ duration: `${seconds} seconds`, orElse: () => Effect.fail(failed(`said nothing for ${seconds} s`)) })
        )
      const ask = (text: string, seconds: number) =>
        Effect.andThen(
          Effect.sync(() => child.stdin?.write(`${text}\n`)),
          line(seconds)
        )
      return Effect.map(line(START_SECONDS), (first) => ({ pid: child.pid ?? 0, first, ask }))
    })
  )

/** Starts a subject that listens: its first line is `{"port":1234}`. */
export const serve = (command: ReadonlyArray<string>, env?: Environment): Effect.Effect<Served, BenchError, Scope.Scope> =>
  start(command, env).pipe(
    Effect.flatMap((started) => {
      const port = number(started.first, "port")
      return port === undefined ? Effect.fail(failed("printed no port")) : Effect.succeed({ ...started, port })
    })
  )

/** The number under a name in what a subject has printed. */
export const number = (value: unknown, name: string): number | undefined => {
  if (typeof value !== "object" || value === null || !(name in value)) return undefined
  const found: unknown = Reflect.get(value, name)
  return typeof found === "number" ? found : undefined
}
