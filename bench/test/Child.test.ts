import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Child from "../src/Child.ts"

const node = (script: string) => [process.execPath, "-e", script]

const answering = `
  console.log("a framework says hello")
  console.log('{"port":1234}')
  process.stdin.on("data", (line) => String(line).trim() === "die" ? process.exit(3) : console.log(JSON.stringify({ said: 7, line: String(line).trim() })))
  process.stdin.on("end", () => process.exit(0))
`

describe("Child", () => {
  it.live("reads the port behind other output, asks as often as it likes, and kills with the scope", () =>
    Effect.gen(function* () {
      const pid = yield* Effect.scoped(
        Effect.gen(function* () {
          const { ask, pid, port } = yield* Child.serve(node(answering))
          assert.strictEqual(port, 1234)
          for (const line of ["one", "two"]) {
            const said = yield* ask(line, 10)
            assert.deepStrictEqual(said, { said: 7, line })
            assert.strictEqual(Child.number(said, "said"), 7)
            assert.isUndefined(Child.number(said, "line"))
          }
          return pid
        })
      )
      // killed, and collected by this process as soon as it looks
      yield* Effect.promise(async () => {
        while (alive(pid)) await new Promise((resolve) => setImmediate(resolve))
      })
    })
  )

  it.live("tells how a subject ended that was asked something", () =>
    Effect.gen(function* () {
      const { ask } = yield* Child.serve(node(answering))
      const error = yield* Effect.flip(ask("die", 10))
      assert.match(error.message, /^ended with 3/)
    }).pipe(Effect.scoped)
  )

  it.live("tells why a subject never listened", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Child.serve(node(`console.error("port taken"); process.exit(1)`)))
      assert.match(error.message, /^ended with 1: port taken/)
      const without = yield* Effect.flip(Child.serve(node(`console.log('{"ready":1}')`)))
      assert.strictEqual(without.message, "printed no port")
      const none = yield* Effect.flip(Child.serve(["/does/not/exist"]))
      assert.match(none.message, /ENOENT/)
    }).pipe(Effect.scoped)
  )
})

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
