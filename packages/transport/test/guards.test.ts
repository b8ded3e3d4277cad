/** Guards as a caller meets them: through a server and a client, for all kinds of method, on both sides. */
import * as CpuUsage from "@effect-kratos/aegis/CpuUsage"
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Auth from "@effect-kratos/core/aspect/Auth"
import * as Bulkhead from "@effect-kratos/core/aspect/Bulkhead"
import * as FaultInjection from "@effect-kratos/core/aspect/FaultInjection"
import * as Match from "@effect-kratos/core/aspect/Match"
import * as MetadataPropagation from "@effect-kratos/core/aspect/MetadataPropagation"
import * as Priority from "@effect-kratos/core/aspect/Priority"
import * as RateLimit from "@effect-kratos/core/aspect/RateLimit"
import * as Retry from "@effect-kratos/core/aspect/Retry"
import * as Validation from "@effect-kratos/core/aspect/Validation"
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type * as Client from "../src/Client.ts"
import * as ErrorDetails from "../src/ErrorDetails.ts"
import * as Fallback from "../src/Fallback.ts"
import { BadRequestSchema, RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.ts"
import type * as Service from "../src/Service.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"
import { ThingNotFound } from "./gen/test/v1/reason_effect.ts"
import { implement, join, until } from "./Harness.ts"

type Caller = Context.Service.Shape<typeof Echo>
type Any = Aspect.Aspect<KratosError.KratosError>

/** A call of each kind with one request. */
const calls = (echo: Caller, request: { readonly text?: string; readonly failReason?: string; readonly count?: number } = {}) =>
  ({
    Unary: echo.unary(request),
    ServerStream: Stream.runCollect(echo.serverStream(request)),
    ClientStream: echo.clientStream(Stream.make(request)),
    Bidi: Stream.runCollect(echo.bidi(Stream.make(request)))
  }) as const satisfies Record<string, Effect.Effect<unknown, unknown>>

/** An aspect on a server, and on a client. */
const bothSides = (aspect: Any) =>
  [
    ["server", { aspects: aspect }],
    ["client", { client: { aspects: aspect } satisfies Client.Options }]
  ] as const

describe("a bulkhead", () => {
  it.effect("counts a call of any kind, on either side, until its last message", () =>
    Effect.gen(function* () {
      for (const queue of [0, 1]) {
        for (const side of ["server", "client"]) {
          const bulkhead = Bulkhead.make({ limit: 5, queue })
          const gate = yield* Queue.unbounded<string>()
          const waits = Stream.fromQueue(gate)
          const { echo } = yield* join({
            ...(side === "server" ? { aspects: bulkhead } : { client: { aspects: bulkhead } }),
            implementation: implement({
              unary: () => Effect.map(Queue.take(gate), (text) => ({ text })),
              serverStream: () => Stream.map(Stream.take(waits, 2), (text) => ({ text })),
              clientStream: (requests) => Effect.map(Stream.runCollect(requests), (all) => ({ index: all.length })),
              bidi: (requests) => Stream.map(requests, ({ text }) => ({ text }))
            })
          })
          const requests = Stream.map(Stream.take(waits, 2), (text) => ({ text }))
          const running = (n: number) => until(Effect.sync(() => bulkhead.running() === n))
          for (const [steps, call] of [
            [1, echo.unary({})],
            [2, Stream.runDrain(echo.serverStream({}))],
            [2, echo.clientStream(requests)],
            [2, Stream.runDrain(echo.bidi(requests))]
          ] as ReadonlyArray<[number, Effect.Effect<unknown, unknown>]>) {
            const fiber = yield* Effect.forkChild(call)
            yield* running(1)
            for (let step = 1; step <= steps; step++) {
              assert.strictEqual(bulkhead.running(), 1, `${side}, before message ${step} of ${steps}`)
              yield* Queue.offer(gate, `message ${step}`)
              if (step < steps) yield* until(Effect.map(Queue.size(gate), (size) => size === 0))
            }
            yield* Fiber.join(fiber)
            yield* running(0)
          }
        }
      }
    })
  )

  it.effect("refuses with an error that the caller sees, and no handler runs", () =>
    Effect.gen(function* () {
      for (const [side, options] of bothSides(Bulkhead.make({ limit: 0 }))) {
        const { echo, journal } = yield* join(options)
        for (const call of Object.values<Effect.Effect<unknown, unknown>>(calls(echo))) {
          const error = yield* Effect.flip(call)
          assert.deepStrictEqual([KratosError.code(error), KratosError.reason(error)], [side === "server" ? 503 : 429, "BULKHEAD"])
        }
        assert.strictEqual(journal.done.ref.current, 0)
      }
    })
  )
})

describe("a rate limit", () => {
  it.effect("by tokens tells the caller of every kind of call when to come again", () =>
    Effect.gen(function* () {
      const handled: Array<string> = []
      for (const method of ["Unary", "ServerStream", "ClientStream", "Bidi"] as const) {
        for (const side of [0, 1]) {
          const [, options] = bothSides(RateLimit.tokens({ rate: 0.5, burst: 1 }))[side]!
          const { echo, journal } = yield* join(options)
          yield* calls(echo)[method] as Effect.Effect<unknown, unknown>
          const error = yield* Effect.flip(calls(echo)[method] as Effect.Effect<unknown, unknown>)
          assert.deepStrictEqual([KratosError.code(error), KratosError.reason(error)], [429, "RATELIMIT"])
          const [info] = ErrorDetails.unpack(error, RetryInfoSchema)
          assert.deepInclude(info?.retryDelay, { seconds: 2n, nanos: 0 })
          assert.strictEqual(journal.done.ref.current, 1)
          handled.push(method)
        }
      }
      assert.lengthOf(handled, 8)
    })
  )

  it.effect("by BBR refuses a busy server's calls without running anything, and is free again when they end", () =>
    Effect.gen(function* () {
      let permille = 1000
      const limit = RateLimit.bbr()
      const usage = { permille: () => permille }
      const provided: Any = (effect) => Effect.provideService(limit(effect), CpuUsage.CpuUsage, usage)
      const { echo, journal } = yield* join({ aspects: provided })
      const held = yield* Effect.forEach([1, 2], () => Effect.forkChild(echo.unary({ delayMs: 1_000_000 })))
      yield* until(Effect.sync(() => journal.open.ref.current === 2))
      for (const call of Object.values<Effect.Effect<unknown, unknown>>(calls(echo))) {
        const error = yield* Effect.flip(call)
        assert.deepStrictEqual(
          [KratosError.code(error), KratosError.reason(error), (error as Error).message],
          [429, "RATELIMIT", "service unavailable due to rate limit exceeded"]
        )
      }
      assert.strictEqual(journal.open.ref.current, 2)
      yield* Fiber.interruptAll(held)
      yield* until(Effect.sync(() => limit.snapshot(0)?.inFlight === 0))
      permille = 0
      for (const call of Object.values<Effect.Effect<unknown, unknown>>(calls(echo))) yield* call
    })
  )
})

describe("validation", () => {
  const noShouting = Validation.all([
    (message) => {
      const { text } = message as { readonly text: string }
      return text === "LOUD" ? [{ field: "text", description: "must not shout", reason: "text.quiet" }] : undefined
    }
  ])

  it.effect("refuses a message of any kind of call with its fields, on either side", () =>
    Effect.gen(function* () {
      for (const [side, options] of bothSides(noShouting)) {
        const { echo } = yield* join(options)
        for (const [method, call] of Object.entries<Effect.Effect<unknown, unknown>>(calls(echo, { text: "LOUD" }))) {
          const error = yield* Effect.flip(call)
          assert.deepStrictEqual(
            [KratosError.code(error), KratosError.reason(error), (error as Error).message],
            [400, "VALIDATOR", "text: must not shout"],
            `${side} ${method}`
          )
          const violations = ErrorDetails.unpack(error, BadRequestSchema)[0]?.fieldViolations
          assert.deepStrictEqual(
            violations?.map(({ description, field, reason }) => ({ description, field, reason })),
            [{ field: "text", description: "must not shout", reason: "text.quiet" }]
          )
        }
        for (const call of Object.values<Effect.Effect<unknown, unknown>>(calls(echo, { text: "quiet" }))) yield* call
      }
    })
  )

  it.effect("lets the messages of a stream through up to the first that is wrong", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { echo } = yield* join({
        aspects: noShouting,
        implementation: implement({
          bidi: (requests) =>
            Stream.map(requests, ({ text }) => {
              seen.push(text)
              return { text }
            })
        })
      })
      const texts = ["a", "b", "LOUD", "c"]
      const exit = yield* Effect.exit(Stream.runDrain(echo.bidi(Stream.fromIterable(texts.map((text) => ({ text }))))))
      assert.strictEqual(KratosError.statusFromExit(exit).reason, "VALIDATOR")
      assert.deepStrictEqual(seen, ["a", "b"])
    })
  )
})

describe("fault injection and Match", () => {
  it.effect("break the calls that they are for, of every kind, and no others", () =>
    Effect.gen(function* () {
      const faults = FaultInjection.make({ rules: [{ abort: { code: 503, reason: "CHAOS" } }] })
      for (const [, options] of bothSides(Match.path(["/test.v1.Echo/Unary", "/test.v1.Echo/Bidi"])(faults))) {
        const { echo } = yield* join(options)
        const ends: Record<string, string> = {}
        for (const [method, call] of Object.entries<Effect.Effect<unknown, unknown>>(calls(echo)))
          ends[method] = KratosError.statusFromExit(yield* Effect.exit(call)).reason
        assert.deepStrictEqual(ends, { Unary: "CHAOS", ServerStream: "", ClientStream: "", Bidi: "CHAOS" })
      }
    })
  )
})

describe("fallback", () => {
  const { method } = Echo.descriptor
  const stale = { text: "stale" }
  const unavailable = Aspect.compose(
    Fallback.make(method.unary, { reply: () => Effect.succeed(stale) }),
    Fallback.make(method.clientStream, { reply: (error) => Effect.succeed({ text: error.message }) }),
    Fallback.make(method.serverStream, { reply: () => Stream.make(stale, { text: "staler" }) }),
    Fallback.make(method.bidi, { reply: () => Stream.make(stale) })
  )

  it.effect("gives another reply for what could not be had, of every kind, on either side", () =>
    Effect.gen(function* () {
      const fail = KratosError.serviceUnavailable("DOWN", "is down")
      for (const [side, options] of bothSides(unavailable)) {
        const { echo } = yield* join({
          ...options,
          implementation: implement({
            unary: () => Effect.fail(fail),
            serverStream: () => Stream.fail(fail),
            clientStream: () => Effect.fail(fail),
            bidi: () => Stream.fail(fail)
          })
        })
        const texts = (replies: ReadonlyArray<{ readonly text: string }>) => replies.map(({ text }) => text)
        const all = calls(echo)
        assert.strictEqual((yield* all.Unary).text, "stale", side)
        assert.deepStrictEqual(texts(yield* all.ServerStream), ["stale", "staler"], side)
        assert.strictEqual((yield* all.ClientStream).text, "is down", side)
        assert.deepStrictEqual(texts(yield* all.Bidi), ["stale"], side)
      }
    })
  )

  it.effect("leaves answers of the contract alone, unless they are what it is for", () =>
    Effect.gen(function* () {
      const request = { failReason: "THING_NOT_FOUND" }
      for (const [, options] of bothSides(unavailable)) {
        const { echo } = yield* join(options)
        const error = yield* Effect.flip(echo.unary(request))
        assert.instanceOf(error, ThingNotFound)
      }
      const isMissing = (error: unknown): error is ThingNotFound => error instanceof ThingNotFound
      const found = Fallback.make(method.unary, {
        when: isMissing,
        reply: (error) => Effect.succeed({ text: `instead of ${error.metadata?.["text"]}` })
      })
      for (const [, options] of bothSides(found)) {
        const { echo } = yield* join(options)
        assert.strictEqual((yield* echo.unary({ ...request, text: "it" })).text, "instead of it")
      }
    })
  )

  it.effect("comes after the last of several attempts, and not when one of them has begun to answer", () =>
    Effect.gen(function* () {
      let attempts = 0
      const down = KratosError.serviceUnavailable("DOWN", "is down")
      const { echo } = yield* join({
        client: { aspects: Aspect.compose(unavailable, Retry.make({ maxAttempts: 3, initialBackoff: 0, idempotent: true })) },
        implementation: implement({
          unary: () => Effect.suspend(() => (attempts++, Effect.fail(down))),
          serverStream: ({ count }) =>
            Stream.suspend(() => {
              attempts++
              // the second attempt says something before it fails
              return attempts === count ? Stream.concat(Stream.make({ text: "first" }), Stream.fail(down)) : Stream.fail(down)
            })
        })
      })
      const stream = (count: number) =>
        Effect.gen(function* () {
          attempts = 0
          const seen: Array<string> = []
          const call = Stream.runForEach(echo.serverStream({ count }), ({ text }) => Effect.sync(() => void seen.push(text)))
          const { code } = KratosError.statusFromExit(yield* Effect.exit(call))
          return [attempts, code, ...seen]
        })
      assert.strictEqual((yield* echo.unary({})).text, "stale")
      assert.strictEqual(attempts, 3)
      assert.deepStrictEqual(yield* stream(0), [3, 200, "stale", "staler"])
      assert.deepStrictEqual(yield* stream(2), [2, 503, "first"])
      assert.deepStrictEqual(yield* stream(1), [1, 503, "first"])
    })
  )

  it.effect("does not mix two answers: a stream that has begun fails as it failed", () =>
    Effect.gen(function* () {
      for (const [side, options] of bothSides(unavailable)) {
        const { echo } = yield* join({
          ...options,
          implementation: implement({
            serverStream: () =>
              Stream.concat(Stream.make({ text: "first" }), Stream.fail(KratosError.serviceUnavailable("DOWN", "is down")))
          })
        })
        const seen: Array<string> = []
        const exit = yield* Effect.exit(Stream.runForEach(echo.serverStream({}), ({ text }) => Effect.sync(() => void seen.push(text))))
        assert.deepStrictEqual([seen, KratosError.statusFromExit(exit).reason], [["first"], "DOWN"], side)
      }
    })
  )
})

describe("metadata and priority", () => {
  it.effect("go through a service to the one behind it, for every kind of call: what is global all the way, what is local one hop", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const note: Any = Aspect.observe({
        start: ({ method, request }) => {
          const keys = ["x-md-global-tenant", "x-md-local-user", Priority.key, "x-other"]
          seen.push(`${method} ${keys.map((key) => request.get(key)?.[0] ?? "-").join(" ")}`)
        },
        end: () => undefined
      })
      const server = Aspect.compose(Priority.server, MetadataPropagation.server)
      const client = Aspect.compose(Priority.client, MetadataPropagation.client)
      const back = yield* join({ aspects: Aspect.compose(server, note), client: { aspects: client } })
      const front = yield* join({
        aspects: Aspect.compose(server, note),
        client: { aspects: client },
        implementation: implement({
          unary: (request) => back.echo.unary({ text: request.text }),
          serverStream: (request) => back.echo.serverStream({ text: request.text }),
          clientStream: (requests) => back.echo.clientStream(Stream.map(requests, ({ text }) => ({ text }))),
          bidi: (requests) => back.echo.bidi(Stream.map(requests, ({ text }) => ({ text })))
        })
      })
      for (const [method, call] of Object.entries<Effect.Effect<unknown, unknown>>(calls(front.echo))) {
        yield* call.pipe(
          MetadataPropagation.with({ "x-md-global-tenant": "t", "x-md-local-user": "ada", "x-other": "o" }),
          Priority.with("SHEDDABLE")
        )
        assert.deepStrictEqual(seen.splice(0), [`${method} t ada SHEDDABLE o`, `${method} t - SHEDDABLE -`])
      }
    })
  )
})

class Claims extends Context.Service<Claims, { readonly subject: string; readonly admin: boolean }>()("test/Claims") {}

/** Believes what it is told; 401 when it is told nothing. */
const whoever = Auth.make(Claims, (call) => {
  const subject = Auth.bearer(call)
  return subject === undefined
    ? Effect.fail(KratosError.unauthorized(Auth.reason, "who are you?"))
    : Effect.succeed({ subject, admin: subject === "root" })
})

const bearer =
  (subject: string): Any =>
  (call) =>
    Effect.andThen(Effect.map(Call, ({ request }) => void request.set("authorization", [`bEARER ${subject}`])) as Effect.Effect<void>, call)

/** Says who called, in each kind of method. */
const whoami = {
  *unary() {
    return { text: (yield* Claims).subject }
  },
  old: () => Effect.map(Claims, ({ subject }) => ({ text: subject })),
  serverStream: () => Stream.fromEffect(Effect.map(Claims, ({ subject }) => ({ text: subject }))),
  *clientStream(requests: Stream.Stream<unknown, KratosError.KratosError>) {
    yield* Stream.runDrain(requests)
    return { text: (yield* Claims).subject }
  },
  bidi: (requests: Stream.Stream<unknown, KratosError.KratosError>) =>
    Stream.mapEffect(requests, () => Effect.map(Claims, ({ subject }) => ({ text: subject })))
} satisfies Service.Handlers<typeof Echo.descriptor, typeof Echo.errors>

describe("auth", () => {
  it("gives claims to handlers that need them, and nothing else compiles", () => {
    const guarded: Layer.Layer<Echo> = Echo.layer(whoami, { aspects: whoever })
    // @effect-diagnostics missingLayerContext:off
    // @ts-expect-error: nobody provides the claims
    const bare: Layer.Layer<Echo> = Echo.layer(whoami)
    // @ts-expect-error: an aspect that holds for some methods only provides nothing
    const partly: Layer.Layer<Echo> = Echo.layer(whoami, { aspects: Match.kind(["unary"])(whoever) })
    // @ts-expect-error: the authorization stands outside of what provides the claims
    const inverted: Layer.Layer<Echo> = Echo.layer(whoami, {
      aspects: Aspect.compose(
        Auth.authorize(Claims, () => true),
        whoever
      )
    })
    const both: Layer.Layer<Echo> = Echo.layer(whoami, {
      aspects: Aspect.compose(
        whoever,
        Auth.authorize(Claims, () => true)
      )
    })
    const effect: Effect.Effect<string, KratosError.KratosError, Call> = whoever(Effect.map(Claims, ({ subject }) => subject))
    assert.lengthOf([guarded, bare, partly, inverted, both, effect], 6)
  })

  it.effect("lets handlers of every kind know who calls, and refuses who does not say so", () =>
    Effect.gen(function* () {
      const implementation = Echo.layer(whoami, { aspects: whoever })
      const known = yield* join({ implementation, client: { aspects: bearer("ada") } })
      const all = calls(known.echo)
      assert.strictEqual((yield* all.Unary).text, "ada")
      assert.strictEqual((yield* all.ServerStream)[0]?.text, "ada")
      assert.strictEqual((yield* all.ClientStream).text, "ada")
      assert.strictEqual((yield* all.Bidi)[0]?.text, "ada")
      const unknown = yield* join({ implementation })
      for (const call of Object.values<Effect.Effect<unknown, unknown>>(calls(unknown.echo))) {
        const error = yield* Effect.flip(call)
        assert.deepStrictEqual([KratosError.code(error), KratosError.reason(error)], [401, "UNAUTHORIZED"])
      }
    })
  )

  it.effect("asks whether the caller may, by a value or an effect, once it knows who it is", () =>
    Effect.gen(function* () {
      for (const allows of [
        ({ admin }: { readonly admin: boolean }) => admin,
        ({ admin }: { readonly admin: boolean }) => Effect.succeed(admin)
      ]) {
        const implementation = Echo.layer(whoami, { aspects: Aspect.compose(whoever, Auth.authorize(Claims, allows)) })
        const root = yield* join({ implementation, client: { aspects: bearer("root") } })
        assert.strictEqual((yield* root.echo.unary({})).text, "root")
        const ada = yield* join({ implementation, client: { aspects: bearer("ada") } })
        for (const call of Object.values<Effect.Effect<unknown, unknown>>(calls(ada.echo))) {
          const error = yield* Effect.flip(call)
          assert.deepStrictEqual([KratosError.code(error), KratosError.reason(error)], [403, "FORBIDDEN"])
        }
      }
    })
  )

  it.effect("holds for calls within the process: on behalf of the caller, or refused", () =>
    Effect.gen(function* () {
      const echo = Context.get(yield* Layer.build(Echo.layer(whoami, { aspects: whoever })), Echo)
      for (const call of Object.values<Effect.Effect<unknown, unknown>>(calls(echo)))
        assert.strictEqual(KratosError.code(yield* Effect.flip(call)), 401)
      const as = <A, E>(call: Effect.Effect<A, E>) => Effect.provideService(call, Claims, { subject: "ada", admin: false })
      const all = calls(echo)
      assert.strictEqual((yield* as(all.Unary)).text, "ada")
      assert.strictEqual((yield* as(all.ServerStream))[0]?.text, "ada")
      assert.strictEqual((yield* as(all.ClientStream)).text, "ada")
      assert.strictEqual((yield* as(all.Bidi))[0]?.text, "ada")
    })
  )
})

describe("aspects of a service", () => {
  it.effect("surround its calls inside those of the server, on the wire and within the process", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const note = (name: string) =>
        Aspect.observe({
          start: ({ method, transport }) => void seen.push(`${name} ${method} ${transport}`),
          end: (_call, exit) => void seen.push(`${name} ${Exit.isSuccess(exit) ? "ok" : "failed"}`)
        })
      const implementation = Echo.layer(
        {
          ...whoami,
          unary: () => Effect.succeed({ text: "1" }),
          old: () => Effect.succeed({}),
          serverStream: () => Stream.make({ text: "1" }, { text: "2" }),
          clientStream: (requests) => Effect.as(Stream.runDrain(requests), {}),
          bidi: (requests) => Stream.map(requests, ({ text }) => ({ text }))
        },
        { aspects: note("service") }
      )
      const { echo } = yield* join({ implementation, aspects: note("server") })
      for (const [method, call] of Object.entries<Effect.Effect<unknown, unknown>>(calls(echo))) {
        yield* call
        assert.deepStrictEqual(seen.splice(0), [`server ${method} grpc`, `service ${method} grpc`, "service ok", "server ok"])
      }
      const local = Context.get(yield* Layer.build(implementation), Echo)
      for (const [method, call] of Object.entries<Effect.Effect<unknown, unknown>>(calls(local))) {
        yield* call
        assert.deepStrictEqual(seen.splice(0), [`service ${method} local`, "service ok"])
      }
      assert.lengthOf(yield* Stream.runCollect(Stream.take(local.serverStream({}), 1)), 1)
      yield* until(Effect.sync(() => seen.length === 2))
      assert.strictEqual((yield* Stream.runCollect(local.serverStream({}))).length, 2)
    })
  )
})
