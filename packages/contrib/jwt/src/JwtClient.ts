/**
 * Attaches a token to each call that a client makes, as `Authorization: Bearer …`. A call that is tried again asks for its token again, so
 * that a new try never goes with one that has expired meanwhile.
 */
import type * as Aspect from "@effect-kratos/core/Aspect"
import * as Auth from "@effect-kratos/core/aspect/Auth"
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Tokens from "./Tokens.ts"

export interface Options {
  /** The header. Default `authorization`. */
  readonly header?: string | undefined
  /** What stands before the token. Default `Bearer`; empty for the token alone. */
  readonly scheme?: string | undefined
}

/** From a source of tokens, which `Tokens.cached` should be around. A token that cannot be had is 401 `UNAUTHORIZED`, as in Kratos. */
export const make = <E, R>(token: Effect.Effect<Tokens.Token, E, R>, options: Options = {}): Aspect.Aspect<KratosError.KratosError, R> => {
  const { header = "authorization", scheme = "Bearer" } = options
  const name = header.toLowerCase()
  const prefix = scheme === "" ? "" : `${scheme} `
  const attach = Effect.gen(function* () {
    const { value } = yield* Effect.mapError(token, failure)
    const call = yield* Call
    call.request.set(name, [prefix + Redacted.value(value)])
  })
  const aspect: Aspect.Aspect<KratosError.KratosError, R> = (effect) =>
    // the client that runs the aspect provides the call
    Effect.andThen(attach as Effect.Effect<void, KratosError.KratosError, R>, effect)
  return aspect
}

const failure = (cause: unknown): KratosError.KratosError =>
  KratosError.unauthorized(Auth.reason, cause instanceof Tokens.SigningError ? cause.message : "Can not get key while signing token", {
    cause
  })
