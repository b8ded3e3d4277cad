/** The client's methods of a service over REST. */
import type { DescService } from "@bufbuild/protobuf"
import type * as Effect from "effect/Effect"
import type * as Client from "../Client.ts"
import * as ClientPolicy from "../ClientPolicy.ts"
import * as ClientMethods from "../ClientMethods.ts"
import { type Errors, errorsOf } from "../Errors.ts"
import * as RestClient from "./Client.ts"
import type * as Nodes from "./Nodes.ts"

/** The methods of a service by local name, called on the nodes of a target, for `Service.make` to type. */
export const make = <R>(
  nodes: Nodes.Nodes,
  descriptor: DescService,
  errors: Errors,
  options: Client.Options<R>
): Effect.Effect<Readonly<Record<string, unknown>>, never, R> => {
  const { dialect = "v3" } = options
  return ClientMethods.make(descriptor, {
    target: nodes.target,
    aspects: options.aspects,
    attemptAspects: options.attemptAspects,
    policy: options.policy === undefined ? undefined : ClientPolicy.make(options.policy, nodes),
    wire: (method, limits) =>
      RestClient.wire(method, errorsOf(errors, method.localName), nodes, {
        dialect,
        maxMessageBytes: ClientPolicy.smaller(options.maxMessageBytes, limits.maxResponseMessageBytes) ?? 4_194_304,
        maxRequestBytes: limits.maxRequestMessageBytes
      })
  })
}
