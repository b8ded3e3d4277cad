/**
 * The client's side of an Effect `RpcGroup`: a protocol for `RpcClient.make` whose requests go to the nodes of a target in turn, as `discovery:///name`
 * lists them. Deadlines travel, and an interrupt ends the request, which interrupts the procedure.
 */
import * as Deadline from "@effect-kratos/core/Deadline"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import { Channels } from "../Channels.ts"
import { text } from "../Network.ts"
import * as Resolver from "../Resolver.ts"
import * as Timeout from "../rest/Timeout.ts"

export interface Options {
  /** Where the group is served. Default `/rpc`. */
  readonly path?: string | undefined
}

/** The protocol of a group at a target; give it to `RpcClient.make`. Newline-delimited JSON over HTTP. */
export const layerProtocol = (target: string, options: Options = {}): Layer.Layer<RpcClient.Protocol, never, Channels> =>
  Layer.effect(RpcClient.Protocol, make(target, options)).pipe(Layer.provide([FetchHttpClient.layer, RpcSerialization.layerNdjson]))

const make = Effect.fnUntraced(function* (target: string, { path = "/rpc" }: Options) {
  const channels = yield* Channels
  const nodes = yield* Resolver.follow(
    target,
    channels.nodes(target),
    ({ address }) => address,
    () => {}
  )

  const toNode = Effect.fnUntraced(function* (request: HttpClientRequest.HttpClientRequest) {
    const [node] = yield* Effect.mapError(
      nodes.all,
      (cause) =>
        new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause, description: cause.message }) })
    )
    const deadline = yield* Deadline.Current
    const addressed = HttpClientRequest.setUrl(request, `http://${text(node!)}${path}`) // at least one
    if (deadline === undefined) return addressed
    const left = Math.max(0, deadline - (yield* Clock.currentTimeMillis))
    return HttpClientRequest.setHeader(addressed, Timeout.timeoutMs, String(Math.ceil(left)))
  })
  return yield* RpcClient.makeProtocolHttp(HttpClient.mapRequestEffect(yield* HttpClient.HttpClient, toNode))
})
