/** The clients of a program, one for each target, protocol and dialect, with what a member of the fleet has around its calls. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as MetadataPropagation from "@effect-kratos/core/aspect/MetadataPropagation"
import * as Retry from "@effect-kratos/core/aspect/Retry"
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

export interface Options {
  /** Of HTTP. Default `v3`. */
  readonly dialect?: Job["dialect"]
  /** Tries calls again that may be executed twice. Default: not. */
  readonly retries?: boolean | undefined
}

export class Callers extends Context.Service<
  Callers,
  { readonly get: (target: string, protocol: string, options?: Options) => Effect.Effect<Callee> }
>()("@effect-kratos/interop/fleet/Callers") {}

const aspects = Aspect.compose(Tracing.client, MetadataPropagation.client)
const limited = Timeout.make("20 seconds")

export const layer: Layer.Layer<Callers, never, Channels> = Layer.effect(
  Callers,
  Effect.gen(function* () {
    const context = yield* Effect.context<Channels>()
    const scope = yield* Effect.scope
    const known = new Map<string, Effect.Effect<Callee>>()
    const build = (target: string, protocol: string, { dialect = "v3", retries = false }: Options) => {
      const stack = retries ? Aspect.compose(limited, Retry.make(), aspects) : Aspect.compose(limited, aspects)
      const client = Fleet.client(target, protocol === "http" ? { protocol: "rest", dialect, aspects: stack } : { aspects: stack })
      return Layer.buildWithScope(Layer.fresh(client), scope).pipe(Effect.provideContext(context), Effect.map(Context.get(Fleet)))
    }
    return {
      get: (target, protocol, options = {}) =>
        Effect.suspend(() => {
          const key = `${protocol} ${options.dialect} ${options.retries} ${target}`
          let made = known.get(key)
          if (made === undefined) {
            made = Effect.runSync(Effect.cached(build(target, protocol, options)))
            known.set(key, made)
          }
          return made
        })
    }
  })
)

/** Makes spans that nobody sees, so that every call has a trace. */
export const tracer: Layer.Layer<never> = Layer.succeed(Tracer.Tracer, Tracer.make({ span: (options) => new Tracer.NativeSpan(options) }))
