/** The clients of a program, one for each target, protocol and dialect, with what a member of the fleet has around its calls. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as MetadataPropagation from "@effect-kratos/core/aspect/MetadataPropagation"
import * as Timeout from "@effect-kratos/core/aspect/Timeout"
import * as Tracing from "@effect-kratos/core/aspect/Tracing"
import type { Channels } from "@effect-kratos/transport/Channels"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Tracer from "effect/Tracer"
import { Fleet } from "../gen/fleet/v1/fleet_effect.ts"
import type { Job } from "./FleetConfig.ts"

export type Callee = Context.Service.Shape<typeof Fleet>

export class Callers extends Context.Service<
  Callers,
  { readonly get: (target: string, protocol: string, dialect?: Job["dialect"]) => Effect.Effect<Callee> }
>()("@effect-kratos/interop/fleet/Callers") {}

const aspects = Aspect.compose(Timeout.make("20 seconds"), Tracing.client, MetadataPropagation.client)

export const layer: Layer.Layer<Callers, never, Channels> = Layer.effect(
  Callers,
  Effect.gen(function* () {
    const context = yield* Effect.context<Channels>()
    const scope = yield* Effect.scope
    const known = new Map<string, Effect.Effect<Callee>>()
    return {
      get: (target, protocol, dialect = "v3") =>
        Effect.suspend(() => {
          const key = `${protocol} ${dialect} ${target}`
          let made = known.get(key)
          if (made === undefined) {
            const options = protocol === "http" ? ({ protocol: "rest", dialect, aspects } as const) : { aspects }
            const build = Layer.buildWithScope(Layer.fresh(Fleet.client(target, options)), scope)
            made = Effect.runSync(Effect.cached(Effect.map(Effect.provideContext(build, context), Context.get(Fleet))))
            known.set(key, made)
          }
          return made
        })
    }
  })
)

/** Makes spans that nobody sees, so that every call has a trace. */
export const tracer: Layer.Layer<never> = Layer.succeed(Tracer.Tracer, Tracer.make({ span: (options) => new Tracer.NativeSpan(options) }))
