import { assert, describe, it } from "@effect/vitest"
import { EventType } from "../src/internal/Records.ts"
import * as Watches from "../src/internal/Watches.ts"

describe("watches", () => {
  const make = () => {
    const watches = Watches.make()
    const told: Array<string> = []
    const open = (name: string) => watches.open((path) => void told.push(`${name} ${path ?? "lost"}`))
    return { watches, told, open }
  }
  it("tell a change once, to all who wait for it and to nobody else", () => {
    const { open, told, watches } = make()
    const [a, b] = [open("a"), open("b")]
    watches.add(a, "node", "/x")
    watches.add(a, "children", "/x")
    watches.add(b, "children", "/x")
    watches.add(b, "node", "/y")
    watches.tell({ type: EventType.children, path: "/x" })
    assert.deepStrictEqual(told.splice(0), ["a /x", "b /x"])
    watches.tell({ type: EventType.children, path: "/x" })
    assert.deepStrictEqual(told, [])
    watches.add(a, "children", "/x")
    // of both kinds, once
    watches.tell({ type: EventType.deleted, path: "/x" })
    assert.deepStrictEqual(told.splice(0), ["a /x"])
    assert.strictEqual(watches.size(), 1)
  })
  it("are lost with the connection, which is told to those who wait", () => {
    const { open, told, watches } = make()
    const [a, b] = [open("a"), open("b")]
    watches.add(a, "node", "/x")
    watches.add(a, "node", "/y")
    watches.add(b, "node", "/x")
    watches.tell({ type: EventType.changed, path: "/x" })
    told.splice(0)
    watches.lose()
    assert.deepStrictEqual(told, ["a lost"])
    assert.strictEqual(watches.size(), 0)
  })
  it("end with their watcher", () => {
    const { open, told, watches } = make()
    const [a, b] = [open("a"), open("b")]
    for (const watcher of [a, b]) watches.add(watcher, "children", "/x")
    watches.close(a)
    // an answer that comes too late
    watches.add(a, "node", "/y")
    watches.tell({ type: EventType.children, path: "/x" })
    assert.deepStrictEqual(told, ["b /x"])
    assert.strictEqual(watches.size(), 0)
  })
})
