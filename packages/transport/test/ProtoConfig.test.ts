import * as ConfigSource from "@effect-kratos/core/config/ConfigSource"
import { ConfigStore, layer } from "@effect-kratos/core/config/ConfigStore"
import { assert, describe, it } from "@effect/vitest"
import { EchoRequestSchema } from "./gen/test/v1/echo_pb.js"
import * as Effect from "effect/Effect"
import * as ProtoConfig from "../src/ProtoConfig.ts"

describe("ProtoConfig", () => {
  const slice = ProtoConfig.slice(EchoRequestSchema, { path: ["echo"] })
  const get = (tree: unknown) =>
    Effect.flatMap(ConfigStore, (store) => store.get(slice)).pipe(Effect.provide(layer({ sources: [ConfigSource.fromUnknown(tree)] })))

  it.effect("reads a message, whatever else there is", () =>
    Effect.map(get({ echo: { text: "hello", delayMs: "5", unknown: 1 } }), (message) => assert.strictEqual(message.text, "hello"))
  )
  it.effect("a path that is not there is the empty message", () => Effect.map(get({}), (message) => assert.strictEqual(message.text, "")))
  it.effect("what is no such message is a ConfigError that names the path and the type", () =>
    Effect.gen(function* () {
      for (const tree of [{ echo: { text: [1] } }, { echo: 5 }]) {
        const error = yield* Effect.flip(get(tree))
        assert.strictEqual(error._tag, "ConfigError")
        assert.match(error.message, /config at echo as test\.v1\.EchoRequest: /)
      }
    })
  )
  it.effect("as the schema of a store it keeps the program from starting", () =>
    Effect.gen(function* () {
      const store = layer({ sources: [ConfigSource.fromUnknown({ echo: 5 })], schema: slice })
      assert.strictEqual((yield* Effect.flip(Effect.provide(Effect.void, store)))._tag, "ConfigError")
    })
  )
})
