import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
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
    assert.strictEqual(Result.getOrThrow(Load.parseH2load(clean)), 40921.5)
    assert.strictEqual(Result.getOrThrow(Load.parseWrk(wrk(""))), 87537.25)
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

  it("voids a run in which nothing was answered", () => {
    const silent = `finished in 1.00s, 0.00 req/s, 0B/s
requests: 0 total, 100 started, 0 done, 0 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 0 2xx, 0 3xx, 0 4xx, 0 5xx`
    assert.isTrue(Result.isFailure(Load.parseH2load(silent)))
  })
})
