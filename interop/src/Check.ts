/** Assertions about what a server did, as effects. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { type GrpcCode, grpcCode, TypeId } from "@effect-kratos/core/error/Status"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as assert from "node:assert/strict"

/** The other end did not do what the contract says. */
export class Wrong extends Schema.TaggedError<Wrong>("@effect-kratos/interop/Wrong")("Wrong", { message: Schema.String }) {}

export const check = (assertion: () => void): Effect.Effect<void, Wrong> =>
  Effect.try({ try: assertion, catch: (cause) => new Wrong({ message: cause instanceof Error ? cause.message : String(cause) }) })

/** An error of ours has this gRPC code and, when one is given, this message. */
export const hasCode = (error: unknown, code: GrpcCode, message?: string): Effect.Effect<void, Wrong> =>
  check(() => {
    assert.ok(error instanceof KratosError.KratosError, `not a KratosError: ${String(error)}`)
    assert.equal(grpcCode(error[TypeId]), code, `${error.code} ${error.reason} ${error.message}`)
    if (message !== undefined) assert.equal(error.message, message)
  })
