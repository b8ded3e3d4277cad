import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as h2spec from "../src/suites/h2spec.ts"
import * as Suite from "../src/suites/Suite.ts"

const part = (name: string, run: Suite.Part["run"], more: Partial<Suite.Part> = {}): Suite.Part => ({
  name,
  missing: () => undefined,
  run,
  ...more
})

const run = (parts: ReadonlyArray<Suite.Part>, only: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const totals = yield* Suite.run({ name: "s", about: "", parts }, only, (result) =>
      Effect.sync(() => lines.push(`${result.outcome} ${result.part} ${result.name} ${result.why}`.trim()))
    )
    return { lines, line: Suite.line(totals) }
  })

describe("Suite", () => {
  it.effect("counts what its parts say, in order", () =>
    Effect.gen(function* () {
      const { line, lines } = yield* run([
        part("a", Stream.make(Suite.ok("1"), Suite.skip("2", "no such thing"))),
        part("b", Stream.make(Suite.fail("3", "expected x\n  got y")))
      ])
      assert.deepStrictEqual(lines, ["ok a 1", "skip a 2 no such thing", "FAIL b 3 expected x; got y"])
      assert.strictEqual(line, "1 passed, 1 failed, 1 skipped")
    })
  )

  it.effect(
    "passes nothing in silence: a part that lacks a program is skipped, one that breaks or says nothing fails, the others go on",
    () =>
      Effect.gen(function* () {
        const { line, lines } = yield* run([
          part("lacks", Stream.die("not to be run"), { missing: () => "h2spec not found" }),
          part("breaks", Stream.concat(Stream.make(Suite.ok("1")), Stream.fail(new Error("broken")))),
          part("silent", Stream.empty),
          part("goes on", Stream.make(Suite.ok("2")))
        ])
        assert.strictEqual(line, "2 passed, 2 failed, 1 skipped")
        assert.strictEqual(lines[0], "skip lacks lacks h2spec not found")
        assert.match(lines[2]!, /^FAIL breaks breaks .*broken/)
        assert.strictEqual(lines[3], "FAIL silent silent it ran no case")
      })
  )

  it.effect("ends a part when its time is over", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(run([part("hangs", Stream.concat(Stream.make(Suite.ok("1")), Stream.never), { seconds: 10 })]))
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fiber)).line, "1 passed, 1 failed, 0 skipped")
    })
  )

  it.effect("runs the parts that are asked for", () =>
    Effect.gen(function* () {
      const parts = ["server", "server over TLS", "engine"].map((name) => part(name, Stream.make(Suite.ok("1"))))
      assert.strictEqual((yield* run(parts, ["TLS", "engine"])).line, "2 passed, 0 failed, 0 skipped")
    })
  )
})

describe("h2spec", () => {
  it("reads its report", () => {
    const report = `<testsuites><testsuite name="3.5."><testcase package="http2/3.5" classname="Sends &#34;x&#34;" time="0.1"></testcase>
      <testcase package="http2/4.1" classname="b" time="0"><failure>GOAWAY &lt;frame&gt;
expected</failure></testcase><testcase package="c" classname="c" time="0"><skipped></skipped></testcase></testsuite></testsuites>`
    assert.deepStrictEqual(
      h2spec.parse(report).map(({ name, outcome, why }) => [outcome, name, why.trim()]),
      [
        ["ok", `http2/3.5: Sends "x"`, ""],
        ["FAIL", "http2/4.1: b", "GOAWAY <frame>\nexpected"],
        ["FAIL", "c: c", "h2spec skipped it"]
      ]
    )
  })
})
