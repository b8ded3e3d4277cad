/** What of messages reaches the log, on both sides. */
import { create, createFileRegistry, fromJson, type DescService, type Message } from "@bufbuild/protobuf"
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt"
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import * as LiveLevel from "@effect-kratos/core/log/LiveLevel"
import type { CallShape } from "@effect-kratos/core/Call"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import * as LogLevelRoutes from "../src/LogLevelRoutes.ts"
import * as Redaction from "../src/Redaction.ts"
import { join, serve, sockets } from "./Harness.ts"
import { versions } from "./RawHttp.ts"

const field = (name: string, number: number, more: object = {}) => ({ name, number, label: "LABEL_OPTIONAL", type: "TYPE_STRING", ...more })
const marked = { options: { debugRedact: true } }

const set = fromJson(FileDescriptorSetSchema, {
  file: [
    {
      name: "a.proto",
      package: "a.v1",
      syntax: "proto3",
      messageType: [
        {
          name: "Login",
          oneofDecl: [{ name: "way" }],
          field: [
            field("user_name", 1),
            field("password", 2, marked),
            field("card", 3, { type: "TYPE_MESSAGE", typeName: ".a.v1.Card" }),
            field("cards", 4, { type: "TYPE_MESSAGE", typeName: ".a.v1.Card", label: "LABEL_REPEATED" }),
            field("hidden", 5, { type: "TYPE_MESSAGE", typeName: ".a.v1.Card", ...marked }),
            field("phone", 6, { oneofIndex: 0 }),
            field("pin", 7, { oneofIndex: 0, ...marked }),
            field("photo", 8, { type: "TYPE_BYTES" }),
            field("again", 9, { type: "TYPE_MESSAGE", typeName: ".a.v1.Login" })
          ]
        },
        { name: "Card", field: [field("number", 1, marked), field("holder", 2)] }
      ],
      service: [{ name: "Auth", method: [{ name: "Login", inputType: ".a.v1.Login", outputType: ".a.v1.Card" }] }]
    }
  ]
})
const descriptor = createFileRegistry(set).getService("a.v1.Auth") as DescService
const call = { operation: "/a.v1.Auth/Login" } as CallShape // all that is read of it

const card = { number: "4111", holder: "ann" }
const login = {
  userName: "ann",
  password: "hunter2",
  card,
  cards: Array.from({ length: 20 }, () => card),
  hidden: card,
  way: { case: "pin", value: "1234" },
  photo: new Uint8Array(3)
}
const secrets = ["4111", "hunter2", "1234"]

describe("Redaction", () => {
  it("never shows what the contract marks, in messages and in what clients give", () => {
    const redact = Redaction.make([{ descriptor }], { fields: "all", maxItems: 1 })
    const message: Message = create(descriptor.methods[0]!.input, login as Record<string, unknown>)
    for (const one of [login, message]) {
      const shown = redact(one, call)
      assert.deepInclude(shown as object, {
        user_name: "ann",
        password: "<redacted>",
        card: { number: "<redacted>", holder: "ann" },
        cards: [{ number: "<redacted>", holder: "ann" }, "… 19 more"],
        hidden: "<redacted>",
        pin: "<redacted>",
        photo: "<3 bytes>"
      })
      for (const secret of secrets) assert.notInclude(JSON.stringify(shown), secret)
    }
    assert.deepInclude(redact({ ...login, way: { case: "phone", value: "0" } }, call) as object, { phone: "0" })
  })

  it("shows nothing else than what is named, and no more than a log can bear", () => {
    const redact = Redaction.make([{ descriptor }], { fields: ["user_name", "card.holder", "cards.number"], maxText: 4 })
    assert.deepStrictEqual(redact({ ...login, userName: "annabel", cards: [card] }, call), {
      user_name: "anna… 3 more",
      card: { holder: "ann" },
      cards: [{ number: "<redacted>" }]
    })
    assert.isUndefined(redact(login, { operation: "/b.v1.B/B" } as CallShape))
    assert.isUndefined(redact(undefined, call))
    const cycle: Record<string, unknown> = { userName: "ann" }
    cycle["again"] = cycle
    assert.isBelow(JSON.stringify(Redaction.make([{ descriptor }], { fields: "all" })(cycle, call)).length, 1000)
  })

  it.effect("keeps requests out of the log of servers and clients of all four kinds, also when handlers break", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.layer([Logger.map(Logger.formatJson, (line) => void lines.push(line))])
      yield* Effect.gen(function* () {
        const client = { aspects: Logging.client }
        const { echo } = yield* join({ aspects: Aspect.compose(Logging.server, Recovery.server), client })
        const request = { text: "hunter2", payload: Buffer.from("hunter2"), echoMetadata: ["hunter2"] }
        yield* echo.unary(request)
        yield* echo.clientStream(Stream.make(request))
        yield* Stream.runDrain(echo.serverStream(request))
        yield* Stream.runDrain(echo.bidi(Stream.make(request)))
        yield* Effect.exit(echo.unary({ ...request, failReason: "broken" }))
      }).pipe(Effect.scoped, Effect.provide(logger))
      const messages = lines.filter((line) => /"(server|client) request"/.test(line))
      assert.lengthOf(messages, 10)
      assert.notInclude(lines.join("\n"), "hunter2")
    })
  )
})

describe("the log level over HTTP", () => {
  it.effect("is told and set by those who may", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const sink = Logger.layer([Logger.make(({ logLevel }) => void lines.push(logLevel))])
      const live = yield* Layer.build(LiveLevel.layer().pipe(Layer.provide(sink)))
      yield* Effect.gen(function* () {
        const level = yield* LiveLevel.LiveLevel
        const authorize = LogLevelRoutes.routes({ authorize: ({ headers }) => Effect.succeed(headers["x-token"] === "t") })
        const server = yield* serve({ wire: sockets, routes: authorize.pipe(Layer.provide(Layer.succeed(LiveLevel.LiveLevel, level))) })
        for (const { send } of versions) {
          const ask = (method: string, body = "", token = "t") =>
            send(server)(method, "/log-level", { headers: { "content-type": "application/json", "x-token": token }, body })
          assert.strictEqual((yield* ask("GET", "", "?")).status, 403)
          assert.strictEqual((yield* ask("PUT", '{"level":"Debug"}', "?")).status, 403)
          assert.strictEqual((yield* ask("GET")).body, '{"level":"Info"}')
          const done = yield* ask("PUT", '{"level":"DEBUG","seconds":60}')
          assert.deepStrictEqual([done.status, done.body], [200, '{"level":"Debug"}'])
          for (const bad of ['{"level":"loud"}', '{"level":"Info","seconds":-1}', "{", '{"level":"Info","seconds":1e9}', '{"level":1}']) {
            assert.strictEqual((yield* ask("PUT", bad)).status, 400, bad)
          }
          assert.strictEqual(yield* level.get, "Debug")
          yield* level.set("Info")
        }
      }).pipe(Effect.provideContext(live))
    }).pipe(Effect.scoped)
  )
})
