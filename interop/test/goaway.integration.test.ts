/** A real proxy that says GOAWAY again and again while calls are on their way: none of them fails. */
import * as Channels from "@effect-kratos/transport/Channels"
import * as Network from "@effect-kratos/transport/Network"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Echo } from "../src/gen/test/v1/echo_effect.ts"
import * as Peers from "../src/Peers.ts"
import * as Program from "../src/Program.ts"
import * as Proxies from "../src/Proxies.ts"

const REQUESTS = 20
const proxy = Proxies.nginxLeaving(REQUESTS)

describe.skipIf(proxy.missing() !== undefined)("nginx with keepalive_requests (needs nginx)", () => {
  it.live("costs no call, unary or with a streamed request", () =>
    Effect.gen(function* () {
      const port = yield* proxy.serve("grpc", yield* Program.serve(Peers.find("ours").server))
      let connects = 0
      const system = yield* Network.Network
      const counting = Network.Network.of({ ...system, connect: (to) => Effect.suspend(() => (connects++, system.connect(to))) })
      const context = yield* Layer.build(
        Echo.client(`127.0.0.1:${port}`).pipe(Layer.provide(Channels.layerDirect), Layer.provide(Layer.succeed(Network.Network, counting)))
      )
      const echo = Context.get(context, Echo)
      const texts = Array.from({ length: 2000 }, (_, i) => `call ${i}`)
      const replies = yield* Effect.forEach(
        texts,
        (text, i) => (i % 4 > 0 ? echo.unary({ text }) : echo.clientStream(Stream.make({ text }, { text: "" }))),
        { concurrency: 30 }
      )
      assert.isAtLeast(connects, texts.length / REQUESTS / 2)
      replies.forEach(({ text }, i) => assert.include(text, texts[i]!))
    })
  )
})
