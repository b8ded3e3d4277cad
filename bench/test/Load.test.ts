import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Load from "../src/Load.ts"

const h2load = (requests: string, codes: string) => `
starting benchmark...
finished in 2.00s, 40921.50 req/s, 2.46MB/s
requests: ${requests}
status codes: ${codes}
traffic: 4.93MB (5166124) total, 1.64MB (1720000) headers (space savings 85.2%), 1.33MB (1392000) data
`

const wrk = (trouble: string) => `Running 2s test @ http://127.0.0.1:8080/helloworld/kratos
  1 threads and 64 connections
  174563 requests in 2.00s, 34.46MB read
${trouble}Requests/sec:  87537.25
Transfer/sec:     17.28MB
`

describe("Load", () => {
  it("reads the rate of a clean run", () => {
    const clean = h2load(
      "81843 total, 81943 started, 81843 done, 81843 succeeded, 0 failed, 0 errored, 0 timeout",
      "81843 2xx, 0 3xx, 0 4xx, 0 5xx"
    )
    assert.deepStrictEqual(Result.getOrThrow(Load.parseH2load(clean)), { rate: 40921.5, done: 81843, bytes: 1392000, seconds: 2 })
    assert.deepStrictEqual(Result.getOrThrow(Load.parseWrk(wrk(""))), { rate: 87537.25, done: 174563, bytes: 0, seconds: 2 })
  })

  it("voids a run with one failed request, one wrong status, or no report", () => {
    const failed = h2load("10 total, 10 started, 10 done, 9 succeeded, 1 failed, 1 errored, 0 timeout", "9 2xx, 0 3xx, 0 4xx, 0 5xx")
    const status = h2load("10 total, 10 started, 10 done, 10 succeeded, 0 failed, 0 errored, 0 timeout", "9 2xx, 0 3xx, 0 4xx, 1 5xx")
    for (const report of [failed, status, "", "finished in 2.00s, 40921.50 req/s"]) {
      assert.isTrue(Result.isFailure(Load.parseH2load(report)))
    }
    const socket = wrk("  Socket errors: connect 0, read 3, write 0, timeout 0\n")
    const answers = wrk("  Non-2xx or 3xx responses: 12\n")
    for (const report of [socket, answers, "", "unable to connect to 127.0.0.1:1"]) {
      assert.isTrue(Result.isFailure(Load.parseWrk(report)))
    }
  })

  it("tells a silent run from a void one", () => {
    const silent = `finished in 1.00s, 0.00 req/s, 0B/s
requests: 0 total, 100 started, 0 done, 0 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 0 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 490B (490) total, 0B (0) headers (space savings 0.00%), 0B (0) data`
    assert.strictEqual(Result.getOrThrow(Load.parseH2load(silent)).rate, 0)
  })

  it("answers with a rate, and does a silent run again, twice at most", async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "effect-kratos-bench-"))
    const runs = path.join(folder, "runs")
    // a load program that is silent at first: its argument says how often
    const program = path.join(folder, "wrk")
    fs.writeFileSync(
      program,
      `#!/bin/sh\necho run >> ${runs}\nsilent=$(cat ${folder}/silent)\nif [ $(wc -l < ${runs}) -gt $silent ]; then echo "7 requests in 900.00ms, 1KB read"; echo "Requests/sec: 7.00"; else echo "0 requests in 1.00s, 0B read"; echo "Requests/sec: 0.00"; fi\n`
    )
    fs.chmodSync(program, 0o755)
    const run = (silent: number) => {
      fs.writeFileSync(path.join(folder, "silent"), String(silent))
      fs.rmSync(runs, { force: true })
      return Effect.runPromise(Effect.result(Load.wrk(program, []).run("http://127.0.0.1:1", { connections: 1, streams: 1 }, 1)))
    }
    const seven = { rate: 7, done: 7, bytes: 0, seconds: 0.9 }
    assert.deepStrictEqual(Result.getOrThrow(await run(0)), seven)
    assert.deepStrictEqual(Result.getOrThrow(await run(2)), seven)
    const failure = Result.getOrThrow(Result.flip(await run(3)))
    fs.rmSync(folder, { recursive: true })
    assert.strictEqual(failure.message, "no request was answered, three times")
  })
})
