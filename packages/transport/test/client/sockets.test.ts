/** What only real sockets do: resets, servers that are started again on their port, and what the process holds afterwards. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { Socket } from "node:net"
import type * as Network from "../../src/Network.ts"
import { clientOf, serve, sockets, turn, until } from "../Harness.ts"
import { becomes, watched } from "./Rig.ts"

/** What Node keeps the process alive for, without what the test runner has. */
const resources = (): ReadonlyArray<string> =>
  process
    .getActiveResourcesInfo()
    .filter((name) => /TCP|Timeout|Immediate|GetAddrInfo/.test(name))
    .sort()

describe("over sockets", () => {
  it.effect("a connection that is reset while it is idle costs no call", () =>
    Effect.gen(function* () {
      const server = yield* serve({ wire: sockets })
      const { network, state } = yield* watched(server.network)
      const { channels, echo } = yield* clientOf({ address: server.address, network })
      for (let i = 0; i < 5; i++) {
        assert.strictEqual((yield* echo.unary({ text: String(i) })).text, String(i))
        const last = state.duplexes.at(-1)
        assert.instanceOf(last, Socket)
        // as when the server's machine has forgotten it
        last.resetAndDestroy()
        yield* becomes(channels, "idle")
      }
      assert.lengthOf(state.attempts, 5)
    })
  )

  it.effect("a server that is started again on its port is found again", () =>
    Effect.gen(function* () {
      const first = yield* serve({ wire: sockets })
      const { echo } = yield* clientOf(first)
      yield* echo.unary({})
      yield* first.close
      yield* Effect.repeat(turn, { times: 5 })
      const failure = yield* Effect.flip(echo.unary({}))
      assert.include(failure.message, "connection refused")
      const second = yield* serve({ wire: sockets, port: first.address.port })
      assert.strictEqual(second.address.port, first.address.port)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* echo.unary({ text: "x" })).text, "x")
    })
  )

  it.effect("closing the channels leaves no socket, timer or fiber: not of a full pool, an open call, or an attempt", () =>
    Effect.gen(function* () {
      const before = resources()
      const server = yield* serve({ wire: sockets, http2: { maxConcurrentStreams: 1 } })
      const { network, open, state } = yield* watched(server.network)
      const { close, echo } = yield* clientOf({ address: server.address, network }, undefined, { maxConnections: 3 })
      const calls = yield* Effect.forkChild(Effect.replicateEffect(echo.unary({ text: "x" }), 30, { concurrency: 30, discard: true }))
      yield* Fiber.join(calls)
      assert.isAbove(open(), 1)
      // nobody listens there, and the system does not say so at once, or says so
      const black: Network.Address = { host: "192.0.2.1", port: 1 }
      const lost = yield* clientOf({ address: black, network: server.network })
      const waiting = yield* Effect.forkChild(Effect.exit(lost.echo.unary({})), { startImmediately: true })
      yield* Effect.repeat(turn, { times: 5 })
      yield* lost.close
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "Failure")
      yield* close
      assert.strictEqual(open(), 0)
      yield* server.close
      yield* until(Effect.sync(() => state.duplexes.every((duplex) => duplex.closed)))
      yield* until(Effect.sync(() => resources().length <= before.length))
    })
  )
})
