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
    const server = yield* Program.node(`${cwd}/examples/streaming/src/main.ts`, [], {
      environment,
      ready: (line) => {
        if (line.startsWith("    ")) lines.push(line.trim())
        return line.startsWith("Ctrl-C") || undefined
      }
    })
    // curl -m goes away by itself, which it calls an error
    const outputs: ReadonlyArray<readonly [RegExp, number]> = [
      [/^\{"sensor":"steady","sequence":0,"value":0\}$/, 0],
      [/^event: message\ndata: \{"sensor":"steady","sequence":0,"value":0\}\n\nevent: message/, 28],
      [/"sequence":2,"value":0.2\}\n\nevent: error\ndata: \{"code":503,"reason":"SENSOR_LOST"/, 0],
      [/watch, five values +0.00 0.10 0.20 0.30 0.39\n[^]*smooth +0.00 5.00 7.50 8.75$/, 0]
    ]
    assert.strictEqual(lines.length, outputs.length, lines.join("\n"))
    for (const [index, [output, expected]] of outputs.entries()) {
      const line = lines[index] ?? ""
      const { code, stderr, stdout } = yield* shell(line)
      assert.strictEqual(code, expected, `${line}\n${stderr}`)
      assert.match(stdout.trimEnd(), output, line)
    }
    assert.strictEqual((yield* server.terminate).code, 0)
  })
)

it.live("says in one line that no service is running, or that the port is none", () =>
  Effect.gen(function* () {
    const call = "npm run --silent call -w examples/streaming"
    const alone = yield* shell(call, { PORT: String(yield* Daemon.freePort) })
    assert.deepStrictEqual([alone.code, alone.stdout], [1, ""])
    assert.match(alone.stderr, /^cannot connect to \S+: .*"npm start -w examples\/streaming".*\n$/)
    for (const script of [call, "npm start --silent -w examples/streaming"]) {
      const wrong = yield* shell(script, { PORT: "abc" })
      assert.deepStrictEqual([wrong.code, wrong.stdout], [1, ""], script)
      assert.match(wrong.stderr, /^bad configuration: .*PORT.*\n$/, script)
    }
  })
)
