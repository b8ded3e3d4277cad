/** Each call is answered by the greeter that was built of the config at its start; a change of `greeting` builds another one, a change elsewhere none. */
import * as ConfigLayer from "@effect-kratos/core/config/ConfigLayer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Conf from "./Conf.ts"
import { Greet } from "./gen/greet/v1/greet_effect.ts"

class Greeter extends Context.Service<Greeter, (name: string) => string>()("example/Greeter") {}

export const GreetLive = Greet.layerEffect(
  Effect.map(
    ConfigLayer.make(Conf.greeting, ({ template }) =>
      Layer.effect(
        Greeter,
        Effect.as(Effect.logInfo(`greeting with "${template}" from now on`), (name: string) => template.replace("%s", () => name))
      )
    ),
    (current) => ({
      hello: ({ name }: { readonly name: string }) =>
        Effect.map(Greeter, (greet) => ({ message: greet(name) })).pipe(Effect.provide(current.get))
    })
  )
)
