/**
 * The aspects that a service config makes for the methods of a client, in the order in which they belong: bulkhead, timeout of the call, retry or hedge, and,
 * for each attempt, the circuit breaker. They go inside of a client's own aspects, which so see calls and not attempts.
 *
 * What is counted outlives a change of the config: budgets, throttling and breakers are kept as long as their own settings stay the same.
 */
import * as Equal from "effect/Equal"
import * as Aspect from "../Aspect.ts"
import type { Method } from "../Call.ts"
import type { KratosError } from "../error/KratosError.ts"
import * as Bulkhead from "../aspect/Bulkhead.ts"
import * as CircuitBreaker from "../aspect/CircuitBreaker.ts"
import * as Hedge from "../aspect/Hedge.ts"
import * as Retry from "../aspect/Retry.ts"
import * as RetryLimit from "../aspect/RetryLimit.ts"
import * as Timeout from "../aspect/Timeout.ts"
import * as ServiceConfig from "./ServiceConfig.ts"

/** What is kept for the methods of one target while configs change. */
export interface Policies {
  /** The aspect of a method under a config; undefined when the config asks for nothing. */
  readonly aspect: (config: ServiceConfig.ServiceConfig, method: Method) => Aspect.Aspect<KratosError> | undefined
}

export const make = (): Policies => {
  const kept = new Map<string, { readonly settings: unknown; readonly made: unknown }>()
  /** What was made of the same settings before. `key` says of which kind it is, so that what comes out is what was put in. */
  const keep = <A>(key: string, settings: unknown, make: () => A): A => {
    const found = kept.get(key)
    if (found !== undefined && Equal.equals(found.settings, settings)) return found.made as A
    const made = make()
    kept.set(key, { settings, made })
    return made
  }
  return {
    aspect: (config, method) => {
      const found = ServiceConfig.methodConfig(config, method)
      if (found === undefined) return undefined
      const { bulkhead, circuitBreaker, hedgingPolicy, retryPolicy, timeout } = found.config
      const { retryBudget: budget, retryThrottling: throttling } = config
      const limit = keep("limit", [budget, throttling], () => RetryLimit.make({ budget, throttling }))
      const parts: Array<Aspect.Aspect<KratosError>> = []
      if (bulkhead !== undefined) parts.push(keep(`bulkhead ${method.operation}`, bulkhead, () => Bulkhead.make(bulkhead)))
      // gRPC's timeout is that of streams too
      if (timeout !== undefined) parts.push(Timeout.make({ duration: timeout, streams: timeout }))
      if (retryPolicy !== undefined) parts.push(retry(retryPolicy, found.named, limit))
      if (hedgingPolicy !== undefined) parts.push(hedge(hedgingPolicy, found.named, limit))
      if (circuitBreaker !== undefined)
        parts.push(keep(`breaker ${method.operation}`, circuitBreaker, () => CircuitBreaker.make(circuitBreaker)))
      return parts.length === 0 ? undefined : Aspect.compose(...parts)
    }
  }
}

/** A policy that names a method is written for it; one for many methods cannot know of each whether it may be executed twice. */
const idempotentOf = (idempotent: boolean | undefined, named: boolean): boolean | undefined => idempotent ?? (named ? true : undefined)

const retry = (policy: ServiceConfig.RetryPolicy, named: boolean, limit: RetryLimit.RetryLimit): Aspect.Aspect =>
  Retry.make({
    maxAttempts: policy.maxAttempts,
    initialBackoff: policy.initialBackoff,
    maxBackoff: policy.maxBackoff,
    backoffMultiplier: policy.backoffMultiplier,
    retryOn: policy.retryableStatusCodes,
    attemptTimeout: policy.attemptTimeout,
    idempotent: idempotentOf(policy.idempotent, named),
    limit
  })

const hedge = (policy: ServiceConfig.HedgingPolicy, named: boolean, limit: RetryLimit.RetryLimit): Aspect.Aspect =>
  Hedge.make({
    maxAttempts: policy.maxAttempts,
    delay: policy.hedgingDelay ?? 0,
    nonFatal: policy.nonFatalStatusCodes ?? [],
    idempotent: idempotentOf(policy.idempotent, named),
    limit
  })
