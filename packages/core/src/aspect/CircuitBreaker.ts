/**
 * Stops calls to what fails anyway: a breaker for each operation of a client, by the formula of the Google SRE book (`aegis/SreBreaker`). A call that it
 * rejects fails at once with 503 `CIRCUITBREAKER`, as in Kratos; it does not count, is not tried again, and is final for the layers above.
 *
 * 5xx are failures, 501 and 505 excepted, which say nothing of the server's health; interrupted calls count as neither. Put it inside of `Retry`: attempts
 * are counted then, not calls. `NodeBreaker` of the selector is the same for each node.
 */
import * as SreBreaker from "@effect-kratos/aegis/SreBreaker"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Aspect from "../Aspect.ts"
import type { CallShape } from "../Call.ts"
import * as KratosError from "../error/KratosError.ts"
import * as RetryAdvice from "../error/RetryAdvice.ts"
import type { Status } from "../error/Status.ts"

export interface Options extends SreBreaker.Options {
  /** Which calls share a breaker. Default: those of one operation to one target. */
  readonly key?: ((call: CallShape) => string) | undefined
  /** Which ends are the server's failure. Default: 5xx but 501 and 505. */
  readonly isFailure?: ((status: Status) => boolean) | undefined
  /** Most keys that are told apart; calls of further ones pass unprotected. Default 10,000. */
  readonly maxKeys?: number | undefined
}

/** The reason of the error, code 503. */
export const reason = "CIRCUITBREAKER"

export const isFailure = ({ code }: Status): boolean => code >= 500 && code !== 501 && code !== 505

/** Every aspect made has its own breakers; one that is given to several clients counts the calls of all of them. */
export const make = (options: Options = {}): Aspect.Aspect<KratosError.KratosError> => {
  const { isFailure: fails = isFailure, key: keyOf, maxKeys = 10_000 } = options
  const targets = new Map<string, Map<string, SreBreaker.SreBreaker>>()
  let size = 0
  const breakerOf = (call: CallShape, services: Context.Context<never>): SreBreaker.SreBreaker | undefined => {
    // two look-ups cost less than a text made of both
    const target = keyOf === undefined ? call.endpoint : ""
    const key = keyOf === undefined ? call.operation : keyOf(call)
    const found = targets.get(target)?.get(key)
    if (found !== undefined || size >= maxKeys) return found
    const made = SreBreaker.makeUnsafe(options, Context.get(services, Random.Random))
    const breakers = targets.get(target) ?? new Map<string, SreBreaker.SreBreaker>()
    targets.set(target, breakers.set(key, made))
    size++
    return made
  }
  return Aspect.observe<Passed | undefined, KratosError.KratosError>({
    start: (call, services) => {
      const breaker = breakerOf(call, services)
      if (breaker === undefined) return undefined
      const ticket = breaker.tryAcquire(nowOf(services))
      return ticket === 0 ? rejected : { breaker, ticket }
    },
    end: (_call, exit, passed, services) => {
      if (passed === undefined) return
      const { breaker, ticket } = passed
      if (Exit.isSuccess(exit)) breaker.succeed(nowOf(services), ticket)
      else if (!Cause.hasInterrupts(exit.cause))
        breaker[fails(KratosError.statusFromCause(exit.cause)) ? "fail" : "succeed"](nowOf(services), ticket)
    }
  })
}

interface Passed {
  readonly breaker: SreBreaker.SreBreaker
  readonly ticket: SreBreaker.Ticket
}

const nowOf = (services: Context.Context<never>): number => Context.get(services, Clock.Clock).currentTimeMillisUnsafe()

/** Kratos' words. */
const rejected = Aspect.reject(
  RetryAdvice.markFinal(KratosError.serviceUnavailable(reason, "request failed due to circuit breaker triggered"))
)

/** With the defaults. */
export const client: Aspect.Aspect<KratosError.KratosError> = make()
