/**
 * Who calls: verifies a call and gives what it proved to be, its claims, to the handler. Claims are a service of the program's own, so that
 * a handler which reads them does not compile unless an aspect provides them.
 *
 * How a call is verified is a function; `contrib/jwt` has the one for JSON Web Tokens. A call within the process goes on behalf of the
 * caller whose claims its fiber has, and is not verified again.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Aspect from "../Aspect.ts"
import { Call, type CallShape } from "../Call.ts"
import * as KratosError from "../error/KratosError.ts"

/** The reason of a call that does not say who makes it, or does not prove it; code 401. */
export const reason = "UNAUTHORIZED"

/** The reason of a call whose maker may not make it; code 403. */
export const forbidden = "FORBIDDEN"

/** What a call proves of its maker. */
export interface Verify<out Claims, out E = KratosError.KratosError, out R = never> {
  (call: CallShape): Effect.Effect<Claims, E, R>
}

/** Provides the claims of each call as `tag`. A failure of `verify` is the call's; the handler does not run. */
export const make = <Self, Claims, E = KratosError.KratosError, R = never>(
  tag: Context.Service<Self, Claims>,
  verify: Verify<Claims, E, R>
): Aspect.Provider<Self, E, R> =>
  Aspect.provider(<A, E1, R1>(effect: Effect.Effect<A, E1, R1>) =>
    Effect.withFiber<A, E | E1, Exclude<R1, Self> | R>((fiber) => {
      const call = Context.getUnsafe(fiber.context, Call)
      const verified = call.transport === "local" ? Option.getOrUndefined(Context.getOption(fiber.context, tag)) : undefined
      if (verified !== undefined) return Effect.provideService(effect, tag, verified)
      return Effect.flatMap(verify(call), (claims) => Effect.provideService(effect, tag, claims))
    })
  )

/**
 * Asks whether the maker of a call may make it: inside an aspect that provides `tag`. `allows` answers with a boolean, at once or as an
 * effect, or fails with an error of its own. Code 403, reason `FORBIDDEN`.
 */
export const authorize = <Self, Claims, E = never, R = never>(
  tag: Context.Service<Self, Claims>,
  allows: (claims: Claims, call: CallShape) => boolean | Effect.Effect<boolean, E, R>
): Aspect.Aspect<KratosError.KratosError | E, Self | R> => {
  const aspect: Aspect.Aspect<KratosError.KratosError | E, Self | R> = <A, E1, R1>(effect: Effect.Effect<A, E1, R1>) =>
    Effect.flatMap(tag, (claims) =>
      Effect.withFiber<A, E | E1 | KratosError.KratosError, R | R1>((fiber) => {
        const call = Context.getUnsafe(fiber.context, Call)
        const answer = allows(claims, call)
        if (typeof answer === "boolean") return answer ? effect : Effect.fail(denied(call))
        return Effect.flatMap(answer, (allowed): Effect.Effect<A, E1 | KratosError.KratosError, R1> =>
          allowed ? effect : Effect.fail(denied(call))
        )
      })
    )
  return aspect
}

const denied = ({ operation }: CallShape): KratosError.KratosError => KratosError.forbidden(forbidden, `not allowed to call ${operation}`)

/** The token of an `Authorization` header of scheme `Bearer`, in any case; undefined when there is none. */
export const bearer = ({ request }: Pick<CallShape, "request">): string | undefined => {
  const header = request.get("authorization")?.[0]
  if (header === undefined) return undefined
  const space = header.indexOf(" ")
  if (space < 0 || header.slice(0, space).toLowerCase() !== "bearer") return undefined
  const token = header.slice(space + 1).trim()
  return token === "" ? undefined : token
}
