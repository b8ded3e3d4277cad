/** The service follows its files: a changed greeting is in the next reply, a broken file changes nothing. */
import { ConfigStore } from "@effect-kratos/core/config/ConfigStore"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import * as Conf from "../src/Conf.ts"
import { Greet } from "../src/gen/greet/v1/greet_effect.ts"
import { GreetLive } from "../src/GreetLive.ts"

it.live("follows its files", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped()
    const file = `${directory}/config.yaml`
    yield* fs.copyFile(fileURLToPath(new URL("../configs/config.yaml", import.meta.url)), file)
    yield* Effect.gen(function* () {
      const store = yield* ConfigStore
      const greet = yield* Greet
      const message = Effect.map(greet.hello({ name: "kratos" }), ({ message }) => message)
      assert.strictEqual(yield* message, "Hello kratos")
      yield* fs.writeFileString(file, "greeting: [")
      yield* Stream.runHead(Stream.filter(store.reports, ({ current }) => !current))
      assert.strictEqual(yield* message, "Hello kratos")
      yield* fs.writeFileString(file, 'greeting: {template: "Hej %s"}')
      yield* Stream.runHead(Stream.filter(store.reports, ({ current }) => current))
      yield* Effect.repeat(Effect.andThen(Effect.sleep("1 millis"), message), { until: (text) => text === "Hej kratos" })
    }).pipe(Effect.provide(GreetLive.pipe(Layer.provideMerge(Conf.layer(directory)))))
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
)
