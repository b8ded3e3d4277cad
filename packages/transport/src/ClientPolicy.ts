/** The service config of a client, which may change while it is used, and what it means for a method. */
import type * as Aspect from "@effect-kratos/core/Aspect"
import type { Method } from "@effect-kratos/core/Call"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import * as Policy from "@effect-kratos/core/policy/Policy"
import * as ServiceConfig from "@effect-kratos/core/policy/ServiceConfig"
import * as SubscriptionRef from "effect/SubscriptionRef"

/** A config, or one that changes: calls that begin after a change go by the new one. */
export type Source = ServiceConfig.ServiceConfig | SubscriptionRef.SubscriptionRef<ServiceConfig.ServiceConfig>

/** What a wire has to know of the config of its method. */
export interface Limits {
  readonly waitForReady?: boolean | undefined
  readonly maxRequestMessageBytes?: number | undefined
  readonly maxResponseMessageBytes?: number | undefined
}

export interface ClientPolicy {
  /** The config as it is now; the same object as long as it has not changed. */
  readonly current: () => ServiceConfig.ServiceConfig
  readonly isFixed: boolean
  readonly aspect: (config: ServiceConfig.ServiceConfig, method: Method) => Aspect.Aspect<KratosError> | undefined
  readonly limits: (config: ServiceConfig.ServiceConfig, method: Method) => Limits
}

/** What is counted for a target, by the channel that its clients share. */
const shared = new WeakMap<object, Policy.Policies>()

/** `channel`: the object whose clients share budgets and breakers. */
export const make = (source: Source, channel: object): ClientPolicy => {
  let policies = shared.get(channel)
  if (policies === undefined) shared.set(channel, (policies = Policy.make()))
  const isFixed = !isChanging(source)
  return {
    current: isChanging(source) ? () => SubscriptionRef.getUnsafe(source) : () => source,
    isFixed,
    aspect: policies.aspect,
    limits: (config, method) => ServiceConfig.methodConfig(config, method)?.config ?? {}
  }
}

const isChanging = (source: Source): source is SubscriptionRef.SubscriptionRef<ServiceConfig.ServiceConfig> =>
  SubscriptionRef.isSubscriptionRef(source)

/** gRPC's rule for sizes: the smaller of what the client and what the config says. */
export const smaller = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.min(a, b)
