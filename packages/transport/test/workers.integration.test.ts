/** One program in two processes on one port. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Channels from "../src/Channels.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"
import { turn, until } from "./Harness.ts"

const program = fileURLToPath(new URL("./fixtures/workers.ts", import.meta.url))

/** The supervisor, and who serves. */
const start = (mode = "", ...unix: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [program, mode, ...unix], { stdio: ["ignore", "pipe", "pipe"] })
      let output = ""
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()))
      const exited = once(child, "close").then(([code]) => code as number | null)
      const served = () => [...output.matchAll(/^serves (\d+) (\d+)$/gm)].map(([, pid, port]) => ({ pid: pid!, port: Number(port) }))
      return {
        served,
        output: () => output,
        kill: (signal: NodeJS.Signals) => child.kill(signal),
        isOver: () => child.exitCode !== null || child.signalCode !== null,
        exited: Effect.promise(() => exited),
        /** Completes when so many have begun to serve, or all is over. Waits without work: the processes need the processor. */
        serving: (count: number) =>
          Effect.callback<void>((resume) => {
            const look = () => (served().length >= count || child.exitCode !== null) && resume(Effect.void)
            child.stdout.on("data", look)
            child.once("close", look)
            look()
            return Effect.sync(() => child.stdout.removeListener("data", look))
          })
      }
    }),
    (supervisor) =>
      Effect.gen(function* () {
        if (supervisor.isOver()) return
        supervisor.kill("SIGTERM")
        yield* supervisor.exited
      })
  )

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** A client with a connection of its own. */
const client = (port: number) => clientTo(`direct:///127.0.0.1:${port}`)

const clientTo = (target: string) =>
  Effect.map(Layer.build(Layer.fresh(Echo.client(target)).pipe(Layer.provide(Layer.fresh(Channels.layerDirect)))), (context) =>
    Context.get(context, Echo)
  )

const clients = (port: number, count: number) => Effect.all(Array.from({ length: count }, () => client(port)))

describe("workers", { timeout: 60_000 }, () => {
  it.live("serve on one port, are replaced without a failed call, started again when they die, and drained at the end", () =>
    Effect.gen(function* () {
      const supervisor = yield* start()
      yield* supervisor.serving(2)
      const [one, two] = supervisor.served()
      assert.isDefined(two, supervisor.output())
      assert.strictEqual(one!.port, two!.port)
      const all = yield* clients(one!.port, 8)
      const who = Effect.map(
        Effect.forEach(all, (echo) => echo.unary({}), { concurrency: "unbounded" }),
        (replies) => new Set(replies.map(({ text }) => text))
      )
      assert.deepStrictEqual([...(yield* who)].toSorted(), [one!.pid, two!.pid].toSorted())

      // replaced while calls go on
      const load = { calls: 0, goesOn: true }
      const callers = yield* Effect.forkChild(
        Effect.forEach(
          all,
          (echo) =>
            Effect.gen(function* () {
              while (load.goesOn) {
                yield* echo.unary({ delayMs: 5 })
                load.calls++
              }
            }),
          { concurrency: "unbounded" }
        )
      )
      supervisor.kill("SIGHUP")
      yield* supervisor.serving(4)
      const before = new Set([one!.pid, two!.pid])
      let now = yield* who
      while ([...now].some((pid) => before.has(pid))) now = yield* who
      load.goesOn = false
      yield* Fiber.join(callers)
      assert.isAbove(load.calls, 0)

      // one is killed
      const [victim] = supervisor.served().slice(2)
      process.kill(Number(victim!.pid), "SIGKILL")
      yield* supervisor.serving(5)
      assert.include(supervisor.output(), "was ended by SIGKILL")

      // all end with what they have begun
      const last = yield* clients(one!.port, 4)
      yield* Effect.forEach(last, (echo) => echo.unary({}), { concurrency: "unbounded" })
      const held = yield* Effect.forkChild(Effect.forEach(last, (echo) => echo.unary({ delayMs: 500 }), { concurrency: "unbounded" }))
      yield* Effect.forEach(last, (echo) => echo.unary({}), { concurrency: "unbounded" })
      supervisor.kill("SIGTERM")
      assert.lengthOf(yield* Fiber.join(held), 4)
      assert.strictEqual(yield* supervisor.exited, 0, supervisor.output())
    })
  )

  it.live("share a Unix socket, which one that is replaced leaves in place and the last one removes", () =>
    Effect.gen(function* () {
      const unix = join(mkdtempSync(join(tmpdir(), "workers-")), "s")
      const supervisor = yield* start("", unix)
      yield* supervisor.serving(2)
      const callers = yield* Effect.all(Array.from({ length: 4 }, () => clientTo(`unix://${unix}`)))
      const who = Effect.map(
        Effect.forEach(callers, (echo) => echo.unary({})),
        (replies) => new Set(replies.map(({ text }) => text))
      )
      assert.strictEqual((yield* who).size, 2)
      supervisor.kill("SIGHUP")
      yield* supervisor.serving(4)
      assert.isAbove((yield* who).size, 0)
      supervisor.kill("SIGTERM")
      assert.strictEqual(yield* supervisor.exited, 0, supervisor.output())
      assert.isFalse(existsSync(unix))
    })
  )

  it.live("end by themselves when their supervisor dies", () =>
    Effect.gen(function* () {
      const supervisor = yield* start()
      yield* supervisor.serving(2)
      const pids = supervisor.served().map(({ pid }) => Number(pid))
      const echo = yield* client(supervisor.served()[0]!.port)
      const held = yield* Effect.forkChild(echo.unary({ delayMs: 300 }))
      yield* echo.unary({})
      supervisor.kill("SIGKILL")
      // what they have begun they finish
      assert.include(pids, Number((yield* Fiber.join(held)).text))
      yield* until(Effect.sync(() => !pids.some(isAlive)))
    })
  )

  it.live("that hang are killed by a second signal", () =>
    Effect.gen(function* () {
      const supervisor = yield* start()
      yield* supervisor.serving(2)
      const pids = supervisor.served().map(({ pid }) => Number(pid))
      const echo = yield* client(supervisor.served()[0]!.port)
      yield* Effect.forkChild(Effect.exit(echo.unary({ delayMs: 1_000_000 })))
      yield* echo.unary({})
      // one that follows at once is an echo of the first
      while (!supervisor.isOver()) {
        supervisor.kill("SIGTERM")
        yield* turn
      }
      assert.strictEqual(yield* supervisor.exited, 143, supervisor.output())
      yield* until(Effect.sync(() => !pids.some(isAlive)))
    })
  )

  it.live("that cannot start are not started for ever", () =>
    Effect.gen(function* () {
      const supervisor = yield* start("broken")
      assert.strictEqual(yield* supervisor.exited, 1)
      assert.include(supervisor.output(), "before it listened")
    })
  )
})
