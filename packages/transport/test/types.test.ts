/** What the types of services, clients and servers say. The compiler is the judge; the runner only sees that the file loads. */
// @effect-diagnostics floatingEffect:off missingEffectError:off -- what must not compile is written down here
import * as Aspect from "@effect-kratos/core/Aspect"
import { Call } from "@effect-kratos/core/Call"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import * as Reason from "@effect-kratos/core/error/Reason"
import type { Lifecycle } from "@effect-kratos/core/Lifecycle"
import type { Discovery } from "@effect-kratos/core/registry/Discovery"
import { describe, expectTypeOf, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Channels from "../src/Channels.ts"
import { Health } from "../src/Health.ts"
import * as Server from "../src/Server.ts"
import * as Service from "../src/Service.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"
import { Echo as EchoDesc, type EchoReply, type EchoRequest } from "./gen/test/v1/echo_pb.ts"
import { type QuotaExhausted, Teapot, type ThingNotFound } from "./gen/test/v1/reason_effect.ts"

class Users extends Context.Service<Users, { readonly find: (name: string) => Effect.Effect<string> }>()("test/Users") {}
class Words extends Context.Service<Words, { readonly word: string }>()("test/Words") {}
class Undeclared extends Reason.make<Undeclared>("test.Undeclared")("Undeclared", { code: 400, reason: "UNDECLARED" }) {}
/** Reasons by method. */
class Narrow extends Service.make<Narrow>()(EchoDesc, { errors: { unary: [Teapot], old: [] } }) {}
class Bare extends Service.make<Bare>()(EchoDesc) {}

const rest = {
  old: () => Effect.succeed({}),
  serverStream: () => Stream.empty,
  clientStream: () => Effect.succeed({}),
  bidi: () => Stream.empty
}

/** Never called: its body is only for the compiler. */
const compiles = (program: () => unknown): void => void program

type Declared = ThingNotFound | QuotaExhausted | Teapot | KratosError

describe("types", () => {
  it("a caller gets messages and exactly the declared errors", () => {
    compiles(() =>
      Effect.gen(function* () {
        const echo = yield* Echo
        expectTypeOf(echo.unary({ text: "a" })).toEqualTypeOf<Effect.Effect<EchoReply, Declared>>()
        expectTypeOf(echo.serverStream({ count: 1 })).toEqualTypeOf<Stream.Stream<EchoReply, Declared>>()
        expectTypeOf(echo.clientStream(Stream.make({ text: "a" }))).toEqualTypeOf<Effect.Effect<EchoReply, Declared>>()
        expectTypeOf(echo.bidi(Stream.make({ text: "a" }))).toEqualTypeOf<Stream.Stream<EchoReply, Declared>>()
        // @ts-expect-error: no such field
        echo.unary({ txt: "a" })
        // @ts-expect-error: a field of another type
        echo.unary({ text: 1 })
        // @ts-expect-error: no such method
        echo.nothing({})
      })
    )
  })

  it("what the caller's own stream fails with and needs goes through", () => {
    compiles(() =>
      Effect.gen(function* () {
        const echo = yield* Echo
        const requests = Stream.fromEffect(Effect.flatMap(Users, () => Effect.fail("mine" as const)))
        expectTypeOf(echo.clientStream(requests)).toEqualTypeOf<Effect.Effect<EchoReply, Declared | "mine", Users>>()
        expectTypeOf(echo.bidi(requests)).toEqualTypeOf<Stream.Stream<EchoReply, Declared | "mine", Users>>()
      })
    )
  })

  it("catchTags over all errors of a method leaves none, and no other tag is known", () => {
    compiles(() =>
      Effect.gen(function* () {
        const echo = yield* Echo
        const nothing = () => Effect.succeed(undefined)
        const caught = echo
          .unary({})
          .pipe(Effect.catchTags({ ThingNotFound: nothing, QuotaExhausted: nothing, Teapot: nothing, KratosError: nothing }))
        expectTypeOf<Effect.Error<typeof caught>>().toEqualTypeOf<never>()
        const some = echo.unary({}).pipe(Effect.catchTag("Teapot", nothing))
        expectTypeOf<Effect.Error<typeof some>>().toEqualTypeOf<ThingNotFound | QuotaExhausted | KratosError>()
        // @ts-expect-error: the contract declares no such error
        echo.unary({}).pipe(Effect.catchTag("Undeclared", nothing))
      })
    )
  })

  it("errors can differ by method, and a contract without any has KratosError alone", () => {
    compiles(() =>
      Effect.gen(function* () {
        const narrow = yield* Narrow
        const bare = yield* Bare
        const health = yield* Health
        expectTypeOf<Effect.Error<ReturnType<typeof narrow.unary>>>().toEqualTypeOf<Teapot | KratosError>()
        expectTypeOf<Effect.Error<ReturnType<typeof narrow.old>>>().toEqualTypeOf<KratosError>()
        expectTypeOf<Stream.Error<ReturnType<typeof narrow.serverStream>>>().toEqualTypeOf<KratosError>()
        expectTypeOf<Effect.Error<ReturnType<typeof bare.unary>>>().toEqualTypeOf<KratosError>()
        expectTypeOf<Effect.Error<ReturnType<typeof health.check>>>().toEqualTypeOf<KratosError>()
      })
    )
  })

  it("handlers may raise what is declared, and nothing else", () => {
    compiles(() => Echo.layer({ ...rest, unary: () => Effect.fail(new Teapot({ message: "" })) }))
    compiles(() => Narrow.layer({ ...rest, unary: () => Effect.fail(new Teapot({ message: "" })) }))
    // @ts-expect-error: not declared
    compiles(() => Echo.layer({ ...rest, unary: () => Effect.fail(new Undeclared({ message: "" })) }))
    compiles(() =>
      Echo.layer({
        ...rest,
        // @ts-expect-error: not declared
        *unary() {
          return yield* new Undeclared({ message: "" })
        }
      })
    )
    compiles(() =>
      Echo.layer({
        ...rest,
        unary: () => Effect.succeed({}),
        // @ts-expect-error: not declared
        serverStream: () => Stream.fail(new Undeclared({ message: "" }))
      })
    )
    // @ts-expect-error: declared for another method
    compiles(() => Narrow.layer({ ...rest, unary: () => Effect.succeed({}), old: () => Effect.fail(new Teapot({ message: "" })) }))
  })

  it("handlers must be complete and reply with messages", () => {
    // @ts-expect-error: methods are missing
    compiles(() => Echo.layer({ unary: () => Effect.succeed({}) }))
    // @ts-expect-error: a field of another type
    compiles(() => Echo.layer({ ...rest, unary: () => Effect.succeed({ text: 1 }) }))
    // @ts-expect-error: a stream where one reply is due
    compiles(() => Echo.layer({ ...rest, unary: () => Stream.empty }))
    compiles(() =>
      Echo.layer({
        ...rest,
        unary: (request) => {
          expectTypeOf(request).toEqualTypeOf<EchoRequest>()
          return Effect.succeed({})
        }
      })
    )
  })

  it("what handlers need shows in the layer, less the call", () => {
    const plain = () => Echo.layer({ ...rest, unary: () => Effect.succeed({}) })
    expectTypeOf<ReturnType<typeof plain>>().toEqualTypeOf<Layer.Layer<Echo>>()
    const needy = () =>
      Echo.layer({
        ...rest,
        *unary(request) {
          const call = yield* Call
          const users = yield* Users
          return { text: yield* users.find(request.text), index: call.operation.length }
        },
        serverStream: () => Stream.fromEffect(Effect.map(Words, ({ word }) => ({ text: word })))
      })
    expectTypeOf<ReturnType<typeof needy>>().toEqualTypeOf<Layer.Layer<Echo, never, Users | Words>>()
    const made = () => Echo.layerEffect(Effect.map(Users, () => ({ ...rest, unary: () => Effect.as(Words, {}) })))
    expectTypeOf<ReturnType<typeof made>>().toEqualTypeOf<Layer.Layer<Echo, never, Users | Words>>()
  })

  it("a server needs its services and what its aspects need", () => {
    const needs: Aspect.Aspect<never, Words> = (call) => Effect.andThen(Words, call)
    const bare = () => Server.layer({ services: [Echo, Narrow] })
    const withAspects = () => Server.layer({ services: [Echo], aspects: Aspect.compose(needs) })
    type Needs<L> = L extends Layer.Layer<infer _Out, infer _E, infer R> ? R : never
    type Gives<L> = L extends Layer.Layer<infer Out, infer _E, infer _R> ? Out : never
    expectTypeOf<Needs<ReturnType<typeof bare>>>().toEqualTypeOf<Echo | Narrow>()
    expectTypeOf<Needs<ReturnType<typeof withAspects>>>().toEqualTypeOf<Echo | Words>()
    expectTypeOf<Gives<ReturnType<typeof bare>>>().toEqualTypeOf<Server.Server | Lifecycle>()
  })

  it("a client needs channels and what its aspects need; only layer needs a registry", () => {
    const needs: Aspect.Aspect<never, Words> = (call) => Effect.andThen(Words, call)
    const bare = () => Echo.client("direct:///a:1")
    const withAspects = () => Echo.client("direct:///a:1", { aspects: needs })
    expectTypeOf<ReturnType<typeof bare>>().toEqualTypeOf<Layer.Layer<Echo, never, Channels.Channels>>()
    expectTypeOf<ReturnType<typeof withAspects>>().toEqualTypeOf<Layer.Layer<Echo, never, Channels.Channels | Words>>()
    expectTypeOf(Channels.layer).toEqualTypeOf<Layer.Layer<Channels.Channels, never, Discovery>>()
    expectTypeOf(Channels.layerDirect).toEqualTypeOf<Layer.Layer<Channels.Channels>>()
    const fails: Aspect.Aspect<Undeclared> = (call) => Effect.andThen(Effect.fail(new Undeclared({ message: "" })), call)
    // @ts-expect-error: no caller could know of this error
    compiles(() => Echo.client("direct:///a:1", { aspects: fails }))
  })
})
