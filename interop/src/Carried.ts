/** The metadata of single calls of a client: an aspect adds what a case sends and keeps what came back. */
import type { Aspect } from "@effect-kratos/core/Aspect"
import { Call } from "@effect-kratos/core/Call"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** What a case sends and sees beside the messages. */
export interface Metadatas {
  readonly request: Metadata.Metadata
  reply?: Metadata.Metadata
  trailers?: Metadata.Metadata
}

export const Carried = Context.Reference<Metadatas | undefined>("@effect-kratos/interop/Carried", { defaultValue: () => undefined })

/** Belongs into the options of the client. */
export const aspect: Aspect = (effect) =>
  Effect.withFiber((fiber) => {
    const carried = fiber.getRef(Carried)
    const call = Option.getOrUndefined(Context.getOption(fiber.context, Call))
    if (carried === undefined || call === undefined) return effect
    for (const [name, values] of carried.request) for (const value of values) Metadata.add(call.request, name, value)
    return Effect.ensuring(
      effect,
      Effect.sync(() => {
        carried.reply = call.reply
        carried.trailers = call.trailers
      })
    )
  })
