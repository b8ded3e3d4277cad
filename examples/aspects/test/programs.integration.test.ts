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
    const server = yield* Program.node(`${cwd}/examples/aspects/src/main.ts`, [], {
      environment,
      ready: (line) => {
        if (line.startsWith("    ")) lines.push(line.trim())
        return line.startsWith("Ctrl-C") || undefined
      }
    })
    const outputs = [
      /^\{"id":"1","customer":"ada","item":"tea","quantity":2\}$/,
      /^\{"code":400,"reason":"VALIDATOR","message":"item: .*; quantity: .*\}$/,
      /^\{"code":409,"reason":"OUT_OF_STOCK",.*"stock":"50".*\}$/,
      /^\{"code":500,"reason":"UNKNOWN","message":"unknown request error","metadata":\{\}\}$/,
      /^\{"code":401,"reason":"UNAUTHORIZED","message":"JWT token is missing","metadata":\{\}\}$/,
      /^event: message\ndata: \{"id":"1","customer":"ada","item":"tea","quantity":2\}$/,
      /http_server_request_duration_seconds_count\{[^}]*http_route="\/v1\/orders"[^}]*\} [1-9]/,
      /ada: one that is wrong +400 VALIDATOR fields item, quantity\n[^]*429 RATELIMIT again in \d+ ms\neve: place an order +403 FORBIDDEN$/
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
