/** effect-kratos: streams are Effect's Streams, no aspects. */
import * as Server from "@effect-kratos/transport/Server"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Load } from "../gen/es/bench/v1/load_effect.ts"
import { announce } from "./announce.ts"

const LoadLive = Load.layer({
  download: ({ bytes, count }) => {
    const chunk = { data: new Uint8Array(bytes) }
    return Stream.map(Stream.range(1, count), () => chunk)
  },
  upload: (chunks) =>
    Stream.runFold(
      chunks,
      () => ({ count: 0, bytes: 0 }),
      (summary, { data }) => ({ count: summary.count + 1, bytes: summary.bytes + data.length })
    ),
  chat: (chunks) => Stream.map(chunks, ({ data }) => ({ data })),
  *echo({ data }) {
    return { data }
  }
})

const Announce = Layer.effectDiscard(Server.Server.use(({ address }) => Effect.sync(() => announce(address.port))))

const Main = Announce.pipe(Layer.provide(Server.layer({ services: [Load], host: "127.0.0.1", port: 0 })), Layer.provide(LoadLive))

NodeRuntime.runMain(Layer.launch(Main))
