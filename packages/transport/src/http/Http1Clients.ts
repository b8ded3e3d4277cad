/** Clients of gRPC-Web and Connect over HTTP/1.1, loaded by programs that have one. */
import type { DescService } from "@bufbuild/protobuf"
import type * as Effect from "effect/Effect"
import * as Client from "../Client.ts"
import type { Errors } from "../Errors.ts"
import type { Nodes } from "../rest/Nodes.ts"
import * as Http1Route from "./Http1Route.ts"

/** The methods of a service by local name, called on the nodes of a target, for `Service.make` to type. */
export const make = <R>(
  nodes: Nodes,
  descriptor: DescService,
  errors: Errors,
  options: Client.Options<R>
): Effect.Effect<Readonly<Record<string, unknown>>, never, R> =>
  Client.over(Http1Route.make(nodes), Http1Route.headForm, descriptor, errors, options)
