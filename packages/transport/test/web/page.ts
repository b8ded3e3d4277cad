/** What a page would load: a contract and its client. Bundled by a test. */
import * as WebClient from "@effect-kratos/transport/web/WebClient"
import * as Effect from "effect/Effect"
import { Catalog } from "../gen/test/v1/catalog_effect.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

const program = Effect.gen(function* () {
  const echo = yield* Echo
  const catalog = yield* Catalog
  const found = yield* catalog.find({ title: "a" })
  const reply = yield* echo.unary({ text: found.title }).pipe(Effect.catchTag("Teapot", () => Effect.succeed({ text: "tea" })))
  const replies = yield* Stream.runCollect(echo.serverStream({ text: reply.text, count: 2 }))
  return replies.map((reply) => reply.text)
})

export const run = (baseUrl: string): Promise<ReadonlyArray<string>> =>
  Effect.runPromise(Effect.provide(program, Layer.mergeAll(WebClient.layer(Echo, { baseUrl }), WebClient.layer(Catalog, { baseUrl }))))
