/** Another attempt of a call goes to a node that the call has not been to. */
import * as Hedge from "@effect-kratos/core/aspect/Hedge"
import * as Retry from "@effect-kratos/core/aspect/Retry"
import * as RetryLimit from "@effect-kratos/core/aspect/RetryLimit"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Channels from "../../src/Channels.ts"
import * as Network from "../../src/Network.ts"
import * as Server from "../../src/Server.ts"
import { Ledger } from "../gen/test/v1/ledger_effect.ts"
import { turn } from "../Harness.ts"
import { implementLedger, passing } from "./LedgerRig.ts"

const limit = RetryLimit.make({ budget: false })
const hosts = ["one", "two", "three"]

/** Three nodes of which only the last that a call comes to answers. */
const fleet = Effect.fnUntraced(function* (
  aspects: Retry.Options | Hedge.Options,
  make: typeof Retry.make | typeof Hedge.make,
  slow: boolean
) {
  const visits: Array<string> = []
  let warming = true
  const network = yield* Layer.build(Network.layerMemory)
  for (const host of hosts) {
    const answer = Effect.suspend(() => {
      visits.push(host)
      return warming || new Set(visits).size === 3 ? Effect.succeed({ texts: [host] }) : slow ? Effect.never : implementLedger.down
    })
    yield* Layer.build(
      Layer.fresh(Server.layer({ services: [Ledger], host, port: 1 })).pipe(
        Layer.provide(Layer.fresh(implementLedger({ read: () => answer }))),
        Layer.provide(Layer.succeedContext(network))
      )
    )
  }
  const context = yield* Layer.build(
    Ledger.client(`direct:///${hosts.map((host) => `${host}:1`).join(",")}`, { aspects: make({ ...aspects, limit, maxAttempts: 3 }) }).pipe(
      Layer.provide(Channels.layerDirect),
      Layer.provide(Layer.succeedContext(network))
    )
  )
  const ledger = Context.get(context, Ledger)
  // until all of them are connected to
  while (new Set(visits.slice(-3)).size < 3) {
    yield* ledger.read({ text: "a" })
    yield* turn
  }
  warming = false
  return { ledger, visits }
})

describe("attempts", () => {
  for (const [name, make, slow] of [
    ["retries", Retry.make, false],
    ["hedges", Hedge.make, true]
  ] as const) {
    it.effect(`of ${name} go to nodes that the call has not been to`, () =>
      Effect.gen(function* () {
        const { ledger, visits } = yield* fleet({}, make, slow)
        for (let i = 0; i < 10; i++) {
          visits.length = 0
          yield* passing(ledger.read({ text: "a" }))
          assert.deepStrictEqual([...visits].sort(), [...hosts].sort())
        }
      })
    )
  }
})
