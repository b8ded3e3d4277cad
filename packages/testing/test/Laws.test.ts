import { assert, describe, it } from "@effect/vitest"
import type { ClientEntry, ServerEntry } from "../src/Journal.ts"
import * as Laws from "../src/Laws.ts"
import * as Verdict from "../src/Verdict.ts"

const call = (id: string, props: Partial<ClientEntry> = {}): ClientEntry => ({
  id,
  idempotent: false,
  kind: "call",
  start: 0,
  end: 1,
  attempts: 1,
  node: "a",
  outcome: "ok",
  message: "",
  ...props
})
const started = (id: string, node = "a"): ServerEntry => ({ event: "started", id, node, at: 0 })
const ended = (id: string, node = "a"): ServerEntry => ({ event: "ended", id, node, at: 0, outcome: "ok" })

describe("laws", () => {
  it("no call failed: not one, not one that hangs, and there were some", () => {
    assert.isTrue(Laws.noneFailed([call("1")]).holds)
    assert.isFalse(Laws.noneFailed([]).holds)
    assert.isFalse(Laws.noneFailed([call("1"), call("2", { outcome: "", end: undefined })]).holds)
    assert.match(String(Laws.noneFailed([call("1", { outcome: "TEAPOT", message: "short" })]).measured), /call 1: TEAPOT, short/)
  })

  it("attempts per call", () => {
    const calls = [call("1"), call("2", { attempts: 2 })]
    assert.isTrue(Laws.attemptsAtMost(calls, 1.5).holds)
    assert.isFalse(Laws.attemptsAtMost(calls, 1.4).holds)
    assert.isFalse(Laws.attemptsAtMost([], 1).holds)
  })

  it("only what is idempotent may be executed twice, on one node or on two", () => {
    const calls = [call("1"), call("2", { idempotent: true })]
    assert.isTrue(
      Laws.nothingTwice(calls, [started("1"), ended("1"), started("2"), started("2", "b"), started("foreign"), started("foreign")]).holds
    )
    assert.isFalse(Laws.nothingTwice(calls, [started("1"), started("1", "b")]).holds)
  })

  it("what succeeded was executed", () => {
    assert.isTrue(Laws.everyExecuted([call("1"), call("2", { outcome: "X" })], [started("1")]).holds)
    assert.isFalse(Laws.everyExecuted([call("1")], [started("2")]).holds)
  })

  it("what began has ended on the same node", () => {
    assert.isTrue(Laws.noneLeft([started("1"), started("1", "b"), ended("1", "b"), ended("1")]).holds)
    assert.isFalse(Laws.noneLeft([started("1"), ended("1", "b")]).holds)
    assert.isFalse(Laws.noneLeft([started("1"), started("1"), ended("1")]).holds)
  })

  it("percentiles are values that were measured, by the nearest rank", () => {
    const values = Array.from({ length: 200 }, (_, i) => 200 - i)
    assert.deepStrictEqual(
      [0, 0.5, 0.99, 1].map((p) => Laws.percentile(values, p)),
      [1, 100, 198, 200]
    )
    assert.isNaN(Laws.percentile([], 0.99))
  })
})

describe("a verdict", () => {
  it("holds when all its laws do, and not without any", () => {
    assert.isTrue(Verdict.make("s", [Verdict.atMost("a", 1, 1)]).holds)
    assert.isFalse(Verdict.make("s", [Verdict.atMost("a", 1, 1), Verdict.atLeast("b", 0, 1)]).holds)
    assert.isFalse(Verdict.make("s", []).holds)
  })

  it("is only late when nothing but laws about time is broken", () => {
    const late = Verdict.timed(Verdict.atMost("late", 2, 1))
    const held = Verdict.atMost("held", 1, 1)
    assert.isTrue(Verdict.isOnlyLate(Verdict.make("s", [late, held])))
    assert.isFalse(Verdict.isOnlyLate(Verdict.make("s", [late, Verdict.atMost("broken", 2, 1)])))
    assert.isFalse(Verdict.isOnlyLate(Verdict.make("s", [held])))
    assert.isFalse(Verdict.isOnlyLate(Verdict.make("s", [])))
  })

  it("is broken by what was not measured", () => {
    assert.isFalse(Verdict.atMost("a", NaN, 1).holds)
    assert.isFalse(Verdict.atLeast("a", NaN, 1).holds)
  })

  it("reads as JSON and as a table", () => {
    const verdict = Verdict.make("kill", [Verdict.none("failed calls", ["x"]), Verdict.equal("exit code", 0, 0)], { calls: 3 })
    assert.deepStrictEqual(JSON.parse(Verdict.json(verdict)), verdict)
    assert.strictEqual(Verdict.table(verdict), "kill: BROKEN\n  BROKEN failed calls: 1: x (0)\n  ok     exit code: 0 (0)\n  calls 3")
  })
})
