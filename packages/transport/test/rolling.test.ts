/** Fleets that are restarted and servers that are stopped at any moment, in memory and on a clock that tests move: no call is lost. */
import * as App from "@effect-kratos/core/App"
import type { Discovery } from "@effect-kratos/core/registry/Discovery"
import * as Memory from "@effect-kratos/core/registry/Memory"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Channels from "../src/Channels.ts"
import { isGoingAway } from "../src/InFlight.ts"
import * as Network from "../src/Network.ts"
import * as Server from "../src/Server.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"
import { clientOf, implement, memory, serve, turn } from "./Harness.ts"
import { parse, talk } from "./RawHttp.ts"

const RESTARTS = 20
const NODES = 3
const STREAMS = 50

const turns = (least: number, most: number) => Effect.flatMap(Random.nextIntBetween(least, most), (n) => Effect.repeat(turn, { times: n }))

describe("a fleet", () => {
  it.effect(
    `of ${NODES} is restarted ${RESTARTS} times without a failed unary call, retries off; streams end with a typed GoingAway`,
    () =>
      Effect.gen(function* () {
        const world = yield* Layer.build(Layer.fresh(Layer.merge(Memory.layer, Network.layerMemory)))
        const served = new Map<string, number>()
        const start = Effect.fnUntraced(function* (id: string) {
          const scope = yield* Scope.make()
          const implementation = implement({
            unary: ({ text }) =>
              Effect.gen(function* () {
                served.set(id, (served.get(id) ?? 0) + 1)
                yield* turns(0, 10)
                return { text }
              }),
            serverStream: () => Stream.concat(Stream.make({ text: id }), Stream.never)
          })
          const main = App.layer({ id, name: "echo", signals: [] }).pipe(
            Layer.provideMerge(Server.layer({ services: [Echo], host: "127.0.0.1", port: 0, streamGrace: "2 seconds" })),
            Layer.provide(implementation)
          )
          yield* Layer.buildWithScope(Layer.fresh(main), scope).pipe(
            Effect.provideContext(Context.merge(yield* Effect.context<never>(), world))
          )
          return Scope.close(scope, Exit.void)
        })
        const fleet = yield* Effect.forEach(
          Array.from({ length: NODES }, (_, i) => i),
          (i) => Effect.map(start(`node ${i}`), (stop) => ({ stop }))
        )
        const client = Layer.fresh(Echo.client("discovery:///echo")).pipe(
          Layer.provide(Layer.fresh(Channels.layer)),
          Layer.provide(Layer.succeedContext<Discovery>(world))
        )
        const { serverStream, unary } = Context.get(yield* Layer.build(client), Echo)

        const calls = { done: 0, failed: [] as Array<unknown> }
        const load = Effect.forever(
          Effect.gen(function* () {
            const text = String(calls.done)
            const exit = yield* Effect.exit(unary({ text }))
            if (Exit.isSuccess(exit) && exit.value.text === text) calls.done++
            else calls.failed.push(exit)
            yield* turns(0, 4)
          })
        )
        const streams = { opened: 0, ended: 0, other: [] as Array<unknown> }
        const stream = Effect.forever(
          Effect.gen(function* () {
            const error = yield* Effect.flip(Stream.runForEach(serverStream({}), () => Effect.sync(() => streams.opened++)))
            if (isGoingAway(error)) streams.ended++
            else streams.other.push(error)
          })
        )
        const work = yield* Effect.forEach(
          [...Array.from({ length: 8 }, () => load), ...Array.from({ length: STREAMS }, () => stream)],
          (one) => Effect.forkChild(one)
        )
        yield* Effect.repeat(turn, { times: 50 })
        for (let i = 0; i < RESTARTS; i++) {
          fleet.push({ stop: yield* start(`node ${NODES + i}`) })
          yield* turns(0, 20)
          const closing = yield* Effect.forkChild(fleet.shift()!.stop)
          while (closing.pollUnsafe() === undefined) {
            yield* TestClock.adjust("100 millis")
            yield* turns(1, 5)
          }
        }
        yield* Fiber.interruptAll(work)
        assert.deepStrictEqual(calls.failed, [])
        assert.deepStrictEqual(streams.other, [])
        assert.isAbove(calls.done, RESTARTS * 50)
        assert.isAbove(streams.ended, STREAMS)
        // it was a rolling restart, and each node took part
        assert.strictEqual(served.size, NODES + RESTARTS)
        for (const { stop } of fleet) yield* Effect.forkChild(stop)
        yield* TestClock.adjust("1 minute")
      }).pipe(Random.withSeed("rolling"), Effect.provideService(References.MinimumLogLevel, "None")),
    60_000
  )
})

const DRAIN = 5000
const GRACE = 2000

describe("a stop at any moment", () => {
  for (let seed = 0; seed < 20; seed++) {
    it.effect(`answers every call that was accepted, and ends in its time (seed ${seed})`, () =>
      Effect.gen(function* () {
        const accepted = new Set<string>()
        const take = (text: string) =>
          Effect.gen(function* () {
            accepted.add(text)
            // some end at once, some in time, some never
            yield* Effect.sleep([0, 100, 1000, 4000, 1_000_000][yield* Random.nextIntBetween(0, 4)]!)
            return { text }
          })
        const server = yield* serve({
          wire: memory,
          drainTimeout: DRAIN,
          streamGrace: GRACE,
          implementation: implement({
            unary: ({ text }) => take(text),
            serverStream: ({ text }) => Stream.concat(Stream.make({ text: "first" }), Stream.fromEffect(take(text))),
            bidi: (requests) => Stream.mapEffect(requests, ({ text }) => take(text))
          })
        })
        const grpc = yield* clientOf(server)
        const connect = yield* clientOf(server, { protocol: "connect", http: "1.1" })
        const answers = new Map<string, string>()
        const note = (text: string, exit: Exit.Exit<unknown, unknown>) =>
          Effect.sync(() => {
            if (Exit.isSuccess(exit)) return void answers.set(text, "ok")
            const reason = exit.cause.reasons.find((one) => one._tag === "Fail")
            answers.set(
              text,
              reason !== undefined && isGoingAway(reason.error) ? "going away" : `lost: ${String(exit.cause)} ${String(reason?.error)}`
            )
          })
        /** A request on a connection that is kept, by hand. */
        const raw = (text: string) =>
          Effect.gen(function* () {
            const connection = yield* Effect.exit(server.connect)
            if (Exit.isFailure(connection)) return
            const client = talk(connection.value)
            const body = JSON.stringify({ text })
            yield* client.write(
              `POST /test/v1/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
            )
            const { body: reply, status } = parse(yield* client.says(/\}$/))
            answers.set(
              text,
              status === 200 ? "ok" : status === 503 && reply.includes("GOING_AWAY") ? "going away" : `lost: ${status} ${reply}`
            )
          })
        const one = (i: number) =>
          Effect.gen(function* () {
            const text = `call ${i}`
            const kinds = [
              () => Effect.exit(grpc.echo.unary({ text })),
              () => Effect.exit(connect.echo.unary({ text })),
              () => Effect.exit(Stream.runDrain(grpc.echo.serverStream({ text }))),
              () => Effect.exit(Stream.runDrain(connect.echo.serverStream({ text }))),
              () => Effect.exit(Stream.runDrain(grpc.echo.bidi(Stream.make({ text }))))
            ]
            const kind = kinds[yield* Random.nextIntBetween(0, kinds.length)]
            if (kind === undefined) yield* raw(text)
            else yield* note(text, yield* kind())
          })
        const callers = yield* Effect.forEach(
          Array.from({ length: 60 }, (_, i) => i),
          (i) => Effect.forkChild(Effect.andThen(turns(0, 60), one(i)))
        )
        yield* turns(0, 60)
        const began = yield* Clock.currentTimeMillis
        const closing = yield* Effect.forkChild(server.close)
        while (closing.pollUnsafe() === undefined) {
          yield* Effect.repeat(turn, { times: 3 })
          yield* TestClock.adjust(50)
        }
        // the drain, the last words, and handlers that clean up
        assert.isAtMost((yield* Clock.currentTimeMillis) - began, DRAIN + 1000 + 5000)
        const ended = yield* Effect.forkChild(Fiber.awaitAll(callers))
        while (ended.pollUnsafe() === undefined) {
          yield* TestClock.adjust(1000)
          yield* turn
        }
        for (const text of accepted) assert.include(["ok", "going away"], answers.get(text), text)
      }).pipe(Effect.scoped, Random.withSeed(`stop ${seed}`), Effect.provideService(References.MinimumLogLevel, "None"))
    )
  }
})
