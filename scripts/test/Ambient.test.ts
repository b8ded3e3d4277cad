import { assert, describe, it } from "@effect/vitest"
import * as Ambient from "../src/Ambient.ts"

const names = (source: string) => Ambient.find("packages/core/src/Call.ts", source).map(({ name }) => name)

describe("Ambient.find", () => {
  it.each([
    ["const t = Date.now()", ["Date.now"]],
    ["const t = new Date()", ["new Date()"]],
    ["const t = Date()", ["Date()"]],
    [`const t = Date["now"]()`, ["Date.now"]],
    ["const { now } = Date", ["Date.now"]],
    ["const t = globalThis.performance.now()", ["performance.now"]],
    ["const t = process.hrtime.bigint()", ["process.hrtime"]],
    ["const f = Math.random", ["Math.random"]],
    ["const id = crypto.randomUUID()", ["crypto.randomUUID"]],
    ["const id = globalThis.crypto.getRandomValues(a)", ["crypto.getRandomValues"]],
    [`import { randomUUID as uuid } from "node:crypto"`, ["node:crypto randomUUID"]],
    [`import { setTimeout as sleep } from "node:timers/promises"`, ["node:timers/promises"]],
    ["setTimeout(f, 1)", ["setTimeout"]],
    ["globalThis.setInterval(f, 1)", ["setInterval"]],
    ["const { setImmediate: soon } = globalThis", ["setImmediate"]],
    ["const after = { f: setTimeout }", ["setTimeout"]],
    ["const after = { setTimeout }", ["setTimeout"]],
    ["this.socket.setTimeout(5)", ["socket.setTimeout"]],
    ["fetch(url, { signal: AbortSignal.timeout(5) })", ["AbortSignal.timeout"]]
  ])("%s", (source, expected) => {
    assert.deepStrictEqual(names(source), expected)
  })

  it.each([
    "const t = new Date(0).toISOString()",
    "const t = Date.UTC(1970, 0)",
    "const now = clock.currentTimeMillisUnsafe()",
    "queueMicrotask(f)",
    "process.nextTick(f)",
    "clearTimeout(timer)",
    "const n = Math.floor(1.5)",
    "interface Clock { readonly setTimeout: () => void; now(): number }",
    "const fake = { setTimeout: (f: () => void) => f() }",
    `import { createHash } from "node:crypto"`,
    `import type { Immediate } from "node:timers"`,
    "// Date.now()",
    "const text = 'Math.random()'"
  ])("free: %s", (source) => {
    assert.deepStrictEqual(names(source), [])
  })
})

describe("Ambient.check", () => {
  it("lets a named place use what it is named for, with the line of anything else", () => {
    const allowed = { "packages/http2/src/A.ts": { setTimeout: "a reason" } }
    const source = "setTimeout(f, 1)\nsetInterval(f, 1)"
    assert.deepStrictEqual(Ambient.check("packages/http2/src/A.ts", source, allowed), [{ name: "setInterval", line: 2 }])
    assert.lengthOf(Ambient.check("packages/http2/src/B.ts", source, allowed), 2)
  })
})
