/** The nodes behind a target: the addresses that it names, or what `Discovery` lists for it, now and after every change. */
import * as Endpoint from "@effect-kratos/core/Endpoint"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { Discovery } from "@effect-kratos/core/registry/Discovery"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Address } from "./Network.ts"
import type * as Target from "./Target.ts"

/** The current list first, then the whole list after every change. */
export type Nodes = Stream.Stream<ReadonlyArray<Address>, KratosError.KratosError>

/** Nodes that never change. */
export const fixed = (addresses: ReadonlyArray<Address>): Nodes => Stream.succeed(addresses)

/** The nodes of a target; those of a service are its endpoints with the scheme. */
export const resolve = (target: Target.Target, scheme: Endpoint.Scheme, discovery: Discovery["Service"] | undefined): Nodes => {
  switch (target._tag) {
    case "Direct":
      return fixed(target.addresses)
    case "Invalid":
      return Stream.fail(KratosError.badRequest("TARGET", target.message))
    case "Discovery":
      return discovery === undefined
        ? Stream.fail(
            KratosError.badRequest(
              "TARGET",
              `discovery:///${target.name} needs Channels.layer with a Discovery; Channels.layerDirect has none`
            )
          )
        : watch(target.name, scheme, discovery)
  }
}

/** The endpoints of a service with a scheme, as they change. A registry that fails is asked again a second later; what was known stays. */
const watch = (name: string, scheme: Endpoint.Scheme, discovery: Discovery["Service"]): Nodes =>
  discovery.watch(name).pipe(
    Stream.tapError((error) => Effect.logWarning(`discovery of ${name} failed, trying again`, error)),
    Stream.retry(Schedule.spaced("1 second")),
    Stream.mapError((cause) => KratosError.serviceUnavailable("NODE_NOT_FOUND", `discovery of ${name} failed`, { cause })), // the schedule does not end
    Stream.map((instances) =>
      instances.flatMap(({ endpoints }) => {
        const endpoint = endpoints.map(Endpoint.parse).find((parsed) => Option.isSome(parsed) && parsed.value.scheme === scheme)
        return endpoint === undefined || Option.isNone(endpoint) ? [] : [endpoint.value]
      })
    )
  )
