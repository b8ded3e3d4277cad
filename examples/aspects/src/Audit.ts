/**
 * An aspect of this program's own: one line for every call that changes something, with who made it and how it ended. It needs the claims,
 * which its type says: it does not compile outside of the aspect that provides them.
 */
import type * as Aspect from "@effect-kratos/core/Aspect"
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import { Claims } from "./Claims.ts"

const audit: Aspect.Aspect<never, Call | Claims> = (call) =>
  Effect.gen(function* () {
    const { operation } = yield* Call
    const { sub } = yield* Claims
    return yield* Effect.onExit(call, (exit) => {
      const { code, reason } = KratosError.statusFromExit(exit)
      return Effect.logInfo("audit").pipe(
        Effect.annotateLogs({ subject: sub, operation, code, ...(reason === "" ? undefined : { reason }) })
      )
    })
  })

export { audit as server }
