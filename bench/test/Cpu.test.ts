import { assert, describe, it } from "@effect/vitest"
import * as Cpu from "../src/Cpu.ts"

const stat = (name: string) =>
  `4242 (${name}) S 1 4242 4242 0 -1 4194304 900 0 0 0 1234 566 7 8 20 0 11 0 5000 1000000 2000 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0`

describe("Cpu", () => {
  it("adds user and system time, whatever the program is called", () => {
    assert.strictEqual(Cpu.parseStat(stat("node")), 18)
    assert.strictEqual(Cpu.parseStat(stat("a b) c (d")), 18)
    assert.isUndefined(Cpu.parseStat(""))
    assert.isUndefined(Cpu.parseStat("4242 (node) S 1"))
  })

  it("reads the resident memory in bytes", () => {
    assert.strictEqual(Cpu.parseResident("Name:\tnode\nVmHWM:\t   90000 kB\nVmRSS:\t   70000 kB\n"), 71_680_000)
    assert.isUndefined(Cpu.parseResident("Name:\tnode\n"))
  })

  it("says nothing of a process that is not there", () => {
    assert.isUndefined(Cpu.seconds(0))
    assert.isUndefined(Cpu.resident(0))
  })
})
