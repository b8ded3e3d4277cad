/** What a page would load: contracts and their client. Bundled by tests. */
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as WebClient from "@effect-kratos/transport/web/WebClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Catalog } from "../gen/test/v1/catalog_effect.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"

const program = Effect.gen(function* () {
  const echo = yield* Echo
  const catalog = yield* Catalog
  const found = yield* catalog.find({ title: "ä" })
  const reply = yield* echo.unary({ text: found.title })
  const replies = yield* Stream.runCollect(echo.serverStream({ text: "s", count: 3 }))
  const error = yield* echo.unary({ text: "t", failReason: "THING_NOT_FOUND" }).pipe(
    Effect.as("none"),
    Effect.catchTag("ThingNotFound", ({ _tag, metadata }) => Effect.succeed(`${_tag} ${metadata?.["text"]}`))
  )
  const now = yield* Clock.currentTimeMillis
  const late = yield* Effect.flip(Effect.provideService(echo.unary({ delayMs: 60_000 }), Deadline.Current, now + 50))
  const given = yield* Effect.timeoutOption(echo.unary({ delayMs: 60_000 }), "100 millis")
  const upload = yield* Effect.flip(echo.clientStream(Stream.make({})))
  return {
    text: reply.text,
    texts: replies.map((reply) => reply.text),
    error,
    late: KratosError.reason(late),
    given: given._tag,
    upload: KratosError.code(upload)
  }
})

/** What became of one call of each sort. */
export const run = (baseUrl: string): Promise<object> =>
  Effect.runPromise(Effect.provide(program, Layer.mergeAll(WebClient.layer(Echo, { baseUrl }), WebClient.layer(Catalog, { baseUrl }))))
