/**
 * Serves an Effect `RpcGroup` (Schema-first) on the port of the proto services, newline-delimited JSON over HTTP. The result is a layer of routes for
 * `Server.layer({ routes })`.
 */
import type * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Calls from "./Calls.ts"

export interface Options<Rpcs extends Rpc.Any, R = never> extends Calls.Options<R> {
  /** The group, with `.middleware(Calls)`; its handlers come from the context (`group.toLayer`). */
  readonly group: RpcGroup.RpcGroup<Rpcs>
  /** Default `/rpc`. */
  readonly path?: HttpRouter.PathInput | undefined
  /** `http` answers POST, `websocket` upgrades GET. Default `http`. */
  readonly protocol?: "http" | "websocket" | undefined
}

/** The routes of a group. */
export const routes = <Rpcs extends Rpc.Any, R = never>(options: Options<Rpcs, R>) =>
  RpcServer.layerHttp({
    group: options.group,
    path: options.path ?? "/rpc",
    protocol: options.protocol ?? "http",
    // spans are the business of the Tracing aspect; a defect of one call is not the end of the others
    disableTracing: true,
    disableFatalDefects: true
  }).pipe(Layer.provide([RpcSerialization.layerNdjson, Calls.layer(options)]))
