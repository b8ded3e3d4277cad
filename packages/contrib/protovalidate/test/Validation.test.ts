import { create, type DescMessage, type DescMethod, type MessageInitShape } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Call, type CallShape, type Kind, type Side } from "@effect-kratos/core/Call"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as ErrorDetails from "@effect-kratos/transport/ErrorDetails"
import { BadRequestSchema } from "@effect-kratos/transport/gen/google/rpc/error_details_pb.js"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Validation from "../src/Validation.ts"
import { BookSchema, BrokenSchema, type Genre, PlainSchema, ShelfSchema } from "./gen/shelf/v1/shelf_pb.ts"

/** A call with messages of a schema, and a look at what became of those that it streams. */
const callOf = (input: DescMessage, side: Side, kind: Kind, message: unknown) => {
  const checks: Array<(message: unknown) => KratosError.KratosError | undefined> = []
  const call: CallShape & { readonly desc: DescMethod } = {
    side,
    kind,
    operation: `/test/${input.name}`,
    service: "test",
    method: input.name,
    transport: "grpc",
    peer: "",
    endpoint: "",
    pathTemplate: undefined,
    request: Metadata.make(),
    reply: Metadata.make(),
    trailers: Metadata.make(),
    deadline: undefined,
    message,
    inspect: (check) => void checks.push(check),
    // a method has more, of which validation reads nothing
    desc: { input } as DescMethod
  }
  return { call, checks }
}

const run = (aspect: ReturnType<typeof Validation.make>, call: CallShape) =>
  Effect.exit(Effect.provideService(aspect(Effect.succeed("handled")), Call, call))

const fields = (error: unknown) =>
  ErrorDetails.unpack(error, BadRequestSchema).flatMap(({ fieldViolations }) =>
    fieldViolations.map(({ field, reason }) => `${field} ${reason}`)
  )

const bad: MessageInitShape<typeof BookSchema> = {
  title: "",
  // one that the contract does not have
  genre: 7 as Genre,
  tags: ["a", "a"],
  labels: { y: "1" },
  prequel: { title: "", genre: 1, pages: 1 },
  pages: 0
}
const good: MessageInitShape<typeof BookSchema> = { title: "a title", genre: 1, pages: 10 }
const wrong = [
  "title string.min_len",
  "genre enum.defined_only",
  "pages int32.gte_lt",
  "tags repeated.unique",
  'labels["y"] (key) string.prefix',
  "prequel.title string.min_len"
]

describe("rules of buf.validate", () => {
  it.effect("are checked before the handler, on messages of servers and initialisers of clients", () =>
    Effect.gen(function* () {
      for (const [side, aspect] of [
        ["server", Validation.server],
        ["client", Validation.client]
      ] as const) {
        for (const kind of ["unary", "server_streaming"] as const) {
          const message = (value: typeof bad) => (side === "server" ? create(BookSchema, value) : value)
          const exit = yield* run(aspect, callOf(BookSchema, side, kind, message(bad)).call)
          const error = Exit.isFailure(exit) ? KratosError.fromCause(exit.cause) : undefined
          assert.deepStrictEqual([error?.code, error?.reason], [400, "VALIDATOR"])
          assert.sameMembers(fields(error), wrong)
          assert.isTrue(Exit.isSuccess(yield* run(aspect, callOf(BookSchema, side, kind, message(good)).call)))
        }
      }
    })
  )

  it.effect("are checked on each message of a stream", () =>
    Effect.gen(function* () {
      for (const kind of ["client_streaming", "bidi_streaming"] as const) {
        const { call, checks } = callOf(BookSchema, "server", kind, undefined)
        assert.isTrue(Exit.isSuccess(yield* run(Validation.server, call)))
        assert.lengthOf(checks, 1)
        assert.sameMembers(fields(checks[0]!(create(BookSchema, bad))), wrong)
        assert.isUndefined(checks[0]!(create(BookSchema, good)))
      }
    })
  )

  it.effect("are not looked for in messages that have none, which are not even inspected", () =>
    Effect.gen(function* () {
      const { call, checks } = callOf(PlainSchema, "server", "bidi_streaming", undefined)
      yield* run(Validation.server, call)
      assert.lengthOf(checks, 0)
      const nested = callOf(ShelfSchema, "server", "bidi_streaming", undefined)
      yield* run(Validation.server, nested.call)
      assert.lengthOf(nested.checks, 1)
    })
  )

  it.effect("are listed up to a bound, and an error is never longer than that", () =>
    Effect.gen(function* () {
      const aspect = Validation.make({ maxViolations: 2 })
      const exit = yield* run(aspect, callOf(BookSchema, "server", "unary", create(BookSchema, bad)).call)
      const error = Exit.isFailure(exit) ? KratosError.fromCause(exit.cause) : undefined
      assert.lengthOf(fields(error), 2)
      assert.match(error?.message ?? "", / \(and 4 more\)$/)
      const first = yield* run(Validation.make({ failFast: true }), callOf(BookSchema, "server", "unary", create(BookSchema, bad)).call)
      assert.lengthOf(Exit.isFailure(first) ? fields(KratosError.fromCause(first.cause)) : [], 1)
    })
  )

  it.effect("that cannot be evaluated are a defect of the call, and the handler does not run", () =>
    Effect.gen(function* () {
      let handled = false
      const { call } = callOf(BrokenSchema, "server", "unary", create(BrokenSchema, { title: "t" }))
      const effect = Validation.server(Effect.sync(() => (handled = true)))
      const exit = yield* Effect.exit(Effect.provideService(effect, Call, call))
      assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons.some(({ _tag }) => _tag === "Die"))
      assert.isFalse(handled)
    })
  )
})
