import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import { fileURLToPath } from "node:url"
import * as Program from "../src/Program.ts"

const file = fileURLToPath(new URL("./fixtures/program.mjs", import.meta.url))

const ready = (line: string): number | undefined => {
  const pid = /^\{"pid":(\d+)\}$/.exec(line)?.[1]
  return pid === undefined ? undefined : Number(pid)
}
const start = (mode: string, options: Partial<Program.Options<number>> = {}) => Program.node(file, [mode], { ready, ...options })

/** The system knows the process; one that has ended and was not waited for counts. */
const exists = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe("a program", () => {
  it.live("is ready when it says so, and ends with its scope", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const program = yield* Scope.provide(start("stubborn"), scope)
      assert.strictEqual(program.ready, program.pid)
      assert.isTrue(exists(program.pid))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([exists(program.pid), program.isRunning()], [false, false])
    })
  )

  it.live("obeys SIGTERM", () =>
    Effect.gen(function* () {
      const program = yield* start("polite")
      assert.deepStrictEqual(yield* program.terminate, { code: 0, stderr: "" })
      assert.deepStrictEqual(yield* program.kill, { code: 0, stderr: "" })
    })
  )

  it.live("is killed whatever it thinks of it, and its lines are heard", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const heard = yield* Latch.make()
      const program = yield* start("stubborn", {
        onLine: (line) => {
          lines.push(line)
          heard.openUnsafe()
        }
      })
      yield* program.signal("SIGTERM")
      yield* heard.await
      assert.deepStrictEqual(lines, ["not yet"])
      assert.strictEqual((yield* program.kill).code, "SIGKILL")
      assert.strictEqual((yield* program.exited).code, "SIGKILL")
    })
  )

  it.live("that ends before it is ready is a failure that says why", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(start("broken"))
      assert.match(error.message, /ended with 3 before it was ready: no configuration/)
    })
  )

  it.live("that never says so, or does not exist, is a failure too", () =>
    Effect.gen(function* () {
      assert.match((yield* Effect.flip(start("silent", { readyTimeout: "500 millis" }))).message, /was not ready in time/)
      assert.match((yield* Effect.flip(Program.start(["/nonexistent/program"], { ready }))).message, /ENOENT/)
    })
  )
})

describe("a program that ends by itself", () => {
  it.live("is run to its end, with what it wrote", () =>
    Effect.gen(function* () {
      const script = "process.stdout.write(process.env.SAY + process.cwd()); console.error('no'); process.exit(4)"
      const ended = yield* Program.run([process.execPath, "-e", script], { cwd: "/", environment: { SAY: "in " } })
      assert.deepStrictEqual(ended, { code: 4, stdout: "in /", stderr: "no\n" })
    })
  )

  it.live("that does not end in time, or does not exist, is a failure", () =>
    Effect.gen(function* () {
      const late = yield* Effect.flip(Program.run([process.execPath, "-e", "setInterval(() => {}, 1000)"], { timeout: "300 millis" }))
      assert.match(late.message, /not ended in time/)
      assert.match((yield* Effect.flip(Program.run(["/nonexistent/program"]))).message, /ENOENT/)
    })
  )
})
