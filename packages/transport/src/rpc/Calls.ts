/**
 * Makes the procedures of an Effect `RpcGroup` calls like those of a proto service: `group.middleware(Calls)` gives each a `Call`, a deadline, and the
 * aspects of `Calls.layer`, and puts `KratosError` into its error type. A procedure's own errors are schemas, reason classes among them.
 */
import * as Aspect from "@effect-kratos/core/Aspect"
import { Call, type CallShape, type Kind } from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as RpcSchema from "effect/rpc/RpcSchema"
import * as Timeout from "../rest/Timeout.ts"

export class Calls extends RpcMiddleware.Service<Calls>()("@effect-kratos/transport/rpc/Calls", { error: KratosError.KratosError }) {}

export interface Options<R = never> {
  /** Names the group in operations: `/service/Procedure`. Default `rpc`. */
  readonly service?: string | undefined
  /** Wrapped around every call. Failures that no schema declares arrive at the client as `KratosError`. */
  readonly aspects?: Aspect.Aspect<KratosError.KratosError, R> | undefined
}

/** What the middleware does on a server. */
export const layer = <R = never>(options: Options<R> = {}): Layer.Layer<Calls, never, R> =>
  Layer.effect(
    Calls,
    Effect.map(Effect.context<R>(), (context) => {
      const { aspects = Aspect.identity, service = "rpc" } = options
      const compiled = new Map<string, Aspect.Aspect<KratosError.KratosError, R>>()
      return Calls.of((effect, { headers, payload, rpc }) => {
        const kind: Kind = RpcSchema.isStreamSchema(rpc.successSchema) ? "server_streaming" : "unary"
        const method = { side: "server", operation: `/${service}/${rpc._tag}`, service, method: rpc._tag, kind } as const
        let aspect = compiled.get(rpc._tag)
        if (aspect === undefined) compiled.set(rpc._tag, (aspect = Aspect.forMethod(aspects, method)))
        const timeout = Timeout.parse(headers[Timeout.grpcTimeout], headers[Timeout.timeoutMs])
        if (Result.isFailure(timeout)) return Effect.fail(timeout.failure)
        return Clock.currentTimeMillis.pipe(
          Effect.flatMap((now) => {
            const deadline = timeout.success === undefined ? undefined : now + timeout.success
            const call: CallShape = {
              ...method,
              transport: "rpc",
              peer: "",
              endpoint: "",
              pathTemplate: undefined,
              request: Metadata.fromRecord({ ...headers }),
              reply: Metadata.make(),
              trailers: Metadata.make(),
              deadline,
              message: payload
            }
            const limited = deadline === undefined ? effect : within(effect, timeout.success!, call)
            return Effect.updateContext(aspect(limited), (caller: Context.Context<never>) =>
              Context.add(Context.add(Context.merge(context, caller), Call, call), Deadline.Current, deadline)
            )
          })
        )
      })
    })
  )

const within = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  millis: number,
  call: CallShape
): Effect.Effect<A, E | KratosError.KratosError, R> =>
  Effect.timeoutOrElse(effect, {
    duration: Duration.millis(millis),
    orElse: () =>
      Effect.fail(
        KratosError.gatewayTimeout(
          Deadline.reason,
          `deadline exceeded: ${call.operation} (server) was not done when its caller's deadline passed`
        )
      )
  })
