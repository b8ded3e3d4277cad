import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Subset from "../src/Subset.ts"
import * as Chance from "./Chance.ts"

const same = (name: string) => name

/** Names as Kubernetes makes them. */
const servers = (count: number) => {
  const random = Chance.seeded("servers")
  const draw = (length: number) =>
    Array.from({ length }, () => "bcdfghjklmnpqrstvwxz2456789"[Math.floor(random.nextDoubleUnsafe() * 27)]).join("")
  return Array.from({ length: count }, () => `test-service-1017702-${draw(10)}-${draw(5)}`)
}

const clients = Array.from({ length: 4000 }, (_, i) => `client-${i * 7919}-${(i * 104_729) % 65_537}`)

describe("Subset", () => {
  it("chooses what Kratos chooses", () => {
    const members = [...Array.from({ length: 40 }, (_, i) => `user.v1-${i}`), "zürich-€-😀"]
    const numbers = (key: string) => Subset.select(key, members, 5, same).map((name) => Number(name.split("-")[1]))
    assert.deepStrictEqual(numbers("a"), [4, 6, 24, 32, 29])
    assert.deepStrictEqual(numbers("client-7"), [24, 8, 20, 33, 4])
    assert.deepStrictEqual(numbers("0b9d6a6e-3f0a-4a43"), [15, 21, 19, 2, 8])
    assert.deepStrictEqual(numbers("Ünï"), [3, 39, 18, 8, 30])
    assert.deepStrictEqual(Subset.select("1", ["2", "2", "2", "3"], 3, same), ["2", "3"])
  })

  it("begins behind the hash of the key, not on it", () => {
    const members = Array.from({ length: 40 }, (_, i) => `user.v1-${i}`)
    // the first point of a member is the hash of 0 and its name
    const first = (key: string) => Subset.select(key, members, 1, same)[0]
    const onPoint = members.filter((name) => first(`0${name}`) === name)
    assert.isAtMost(onPoint.length, 5, "but for neighbours of one member")
  })

  it("is everything when there is no more, or no limit", () => {
    assert.deepStrictEqual(Subset.select("a", ["b", "a"], 2, same), ["b", "a"])
    assert.deepStrictEqual(Subset.select("a", ["b", "a"], 0, same), ["b", "a"])
    assert.deepStrictEqual(Subset.select("a", [], 5, same), [])
    assert.deepStrictEqual(Subset.make(["b", "a"], same).select("a", 0), ["b", "a"])
  })

  it.effect.prop(
    "has as many distinct members as it should, the same ones whatever the order of the list",
    [Schema.Array(Schema.String), Schema.String, Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 }))],
    ([names, key, size]) =>
      Effect.gen(function* () {
        // halves of surrogate pairs are equal in UTF-8
        const members = [...new Set(names.map((name) => name.toWellFormed()))]
        const chosen = Subset.select(key, members, size, same)
        assert.strictEqual(new Set(chosen).size, Math.min(size, members.length))
        assert.strictEqual(chosen.length, Math.min(size, members.length))
        for (const each of chosen) assert.include(members, each)
        if (members.length > size) assert.deepStrictEqual(Subset.select(key, members.toReversed(), size, same), chosen)
        yield* Effect.void
      })
  )

  it("does not depend on the order of the list where points coincide", () => {
    // point 10 of "" is point 1 of "0"
    const members = ["", "0", "1", "2"]
    for (const key of clients.slice(0, 500)) {
      assert.deepStrictEqual(Subset.select(key, members, 2, same), Subset.select(key, members.toReversed(), 2, same))
    }
  })

  it("gives each server about as many clients as any other", () => {
    const members = servers(300)
    const ring = Subset.make(members, same)
    const load = new Map(members.map((name) => [name, 0]))
    for (const client of clients) for (const server of ring.select(client, 25)) load.set(server, load.get(server)! + 1)
    const mean = (clients.length * 25) / members.length
    assert.isAtMost(Math.max(...load.values()), mean * 1.5)
    assert.isAtLeast(Math.min(...load.values()), mean * 0.5)
  })

  it("keeps all of a subset but the server that went, and nearly all when one comes", () => {
    const members = servers(301)
    const [gone, ...rest] = members
    const before = Subset.make(members, same)
    const after = Subset.make(rest, same)
    let changed = 0
    for (const client of clients) {
      const old = before.select(client, 25)
      const now = new Set(after.select(client, 25))
      const lost = old.filter((server) => !now.has(server))
      assert.deepStrictEqual(lost, old.includes(gone!) ? [gone!] : [])
      changed += lost.length
    }
    assert.isBelow(changed / (clients.length * 25), 0.005)
  })
})
