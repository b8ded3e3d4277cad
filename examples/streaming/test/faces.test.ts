/** The streams as browsers have them: server-sent events, and frames of a WebSocket. */
import * as Server from "@effect-kratos/transport/Server"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as aspects from "../src/aspects.ts"
import { Sensors } from "../src/gen/sensor/v1/sensors_effect.ts"
import { Journal } from "../src/Journal.ts"
import { SensorsLive } from "../src/SensorsLive.ts"

const layer = () =>
  Server.layer({ services: [Sensors], host: "127.0.0.1", port: 0, aspects: aspects.server }).pipe(
    Layer.provide(SensorsLive),
    Layer.provide(Journal.layer),
    Layer.provide(Layer.succeed(References.MinimumLogLevel, "None"))
  )

it.live("sends values as events, and an error behind them", () =>
  Effect.gen(function* () {
    const { address } = yield* Server.Server
    const text = yield* Effect.promise(async () => (await fetch(`http://127.0.0.1:${address.port}/v1/sensors/fragile:watch`)).text())
    const events = text.trim().split("\n\n")
    assert.deepStrictEqual(events, [
      'event: message\ndata: {"sensor":"fragile","sequence":0,"value":0}',
      'event: message\ndata: {"sensor":"fragile","sequence":1,"value":0.1}',
      'event: message\ndata: {"sensor":"fragile","sequence":2,"value":0.2}',
      'event: error\ndata: {"code":503,"reason":"SENSOR_LOST","message":"fragile has stopped","metadata":{}}'
    ])
    const unknown = yield* Effect.promise(() => fetch(`http://127.0.0.1:${address.port}/v1/sensors/none:watch`))
    assert.strictEqual(unknown.status, 404)
  }).pipe(Effect.provide(layer()))
)

/** Sends frames and an end; resolves with the frames that came, and the code of the close. */
const talk = (url: string, frames: ReadonlyArray<string>): Effect.Effect<readonly [ReadonlyArray<string>, number]> =>
  Effect.callback((resume) => {
    const socket = new WebSocket(url)
    const got: Array<string> = []
    socket.addEventListener("open", () => {
      for (const frame of frames) socket.send(frame)
      socket.send("\u001eend")
    })
    socket.addEventListener("message", ({ data }) => got.push(String(data)))
    socket.addEventListener("close", ({ code }) => resume(Effect.succeed([got, code])))
    return Effect.sync(() => socket.close())
  })

it.live("takes values over a WebSocket, one way and both", () =>
  Effect.gen(function* () {
    const { address } = yield* Server.Server
    const url = `ws://127.0.0.1:${address.port}/v1/readings`
    const frames = ['{"sensor":"mine","value":1}', '{"sensor":"mine","sequence":1,"value":3}']
    const [summary, code] = yield* talk(`${url}:record`, frames)
    assert.deepStrictEqual([summary[0], code], ['{"count":2,"mean":2}', 1000])
    const [smoothed] = yield* talk(`${url}:smooth`, frames)
    assert.deepStrictEqual(smoothed.slice(0, 2), ['{"sensor":"mine","sequence":0,"value":1}', '{"sensor":"mine","sequence":1,"value":2}'])
  }).pipe(Effect.provide(layer()))
)
