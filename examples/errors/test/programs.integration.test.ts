/** The programs as a person meets them: the printed lines work as they are, and so does the tour. */
import * as Daemon from "@effect-kratos/testing/Daemon"
import * as Program from "@effect-kratos/testing/Program"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { fileURLToPath } from "node:url"

/** The repository's root, where the printed lines are to be run. */
const cwd = fileURLToPath(new URL("../../..", import.meta.url))
const shell = (line: string, environment: Readonly<Record<string, string>> = {}) => Program.run(["bash", "-c", line], { cwd, environment })

it.live("prints lines that work as they are, and ends with 0 at SIGTERM", () =>
  Effect.gen(function* () {
    const environment = { PORT: String(yield* Daemon.freePort), NO_COLOR: "1" }
    const lines: Array<string> = []
    const server = yield* Program.node(`${cwd}/examples/errors/src/main.ts`, [], {
      environment,
      ready: (line) => {
        if (line.startsWith("    ")) lines.push(line.trim())
        return line.startsWith("Ctrl-C") || undefined
      }
    })
    const outputs = [
      /^\{"id":"1","name":"ada"\}$/,
      /^\{"code":409,"reason":"USER_EXISTS","message":"ada is taken","metadata":\{.*"id":"1".*\}\}$/,
      /^\{"code":400,"reason":"NAME_INVALID",.*\}$/,
      /^\{"id":"1","name":"ada"\}$/,
      /^\{"code":404,"reason":"USER_NOT_FOUND","message":"no user has the id 404","metadata":\{"id":"404"\}\}$/,
      /create ada +ada is taken by user 1\n[^]*find user 404 +no user has the id 404$/
    ]
    assert.strictEqual(lines.length, outputs.length, lines.join("\n"))
    for (const [index, output] of outputs.entries()) {
      const line = lines[index] ?? ""
      const { code, stderr, stdout } = yield* shell(line)
      assert.strictEqual(code, 0, `${line}\n${stderr}`)
      assert.match(stdout.trimEnd(), output, line)
    }
    assert.strictEqual((yield* server.terminate).code, 0)
  })
)

it.live("says in one line that no service is running, or that the port is none", () =>
  Effect.gen(function* () {
    const call = "npm run --silent call -w examples/errors"
    const alone = yield* shell(call, { PORT: String(yield* Daemon.freePort) })
    assert.deepStrictEqual([alone.code, alone.stdout], [1, ""])
    assert.match(alone.stderr, /^cannot connect to \S+: .*"npm start -w examples\/errors".*\n$/)
    for (const script of [call, "npm start --silent -w examples/errors"]) {
      const wrong = yield* shell(script, { PORT: "abc" })
      assert.deepStrictEqual([wrong.code, wrong.stdout], [1, ""], script)
      assert.match(wrong.stderr, /^bad configuration: .*PORT.*\n$/, script)
    }
  })
)
