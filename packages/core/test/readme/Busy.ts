import * as Aspect from "@effect-kratos/core/Aspect"
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as Match from "@effect-kratos/core/aspect/Match"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import * as Effect from "effect/Effect"

/** Observes: how many calls are in flight. */
export const inFlight = { count: 0 }
const counting = Aspect.observe({
  start: () => void inFlight.count++,
  end: () => void inFlight.count--
})

/** Changes the effect: refuses what is too much, with an error that shows in the type. */
const limited =
  (limit: number): Aspect.Aspect<KratosError.KratosError> =>
  (call) =>
    Effect.suspend(() => (inFlight.count > limit ? KratosError.tooManyRequests("BUSY", `more than ${limit} calls`) : Effect.void)).pipe(
      Effect.andThen(call)
    )

/** The first is outermost; reports may take as many as they like. */
export const stack = Aspect.compose(Logging.server, Recovery.server, counting, Match.not(Match.prefix(["/report.v1."]))(limited(1)))

/** A server does this for every call. */
export const answer = (call: Call["Service"]) => stack(Effect.succeed("hello")).pipe(Effect.provideService(Call, call))
