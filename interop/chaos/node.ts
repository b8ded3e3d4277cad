/** A node of the fleet: `node.ts CONFIG`, see `NodeConfig`. Prints {"port":N} when it is ready and registered; SIGTERM lets it go in peace. */
import * as App from "@effect-kratos/core/App"
import * as Aspect from "@effect-kratos/core/Aspect"
import * as RateLimit from "@effect-kratos/core/aspect/RateLimit"
import * as Retry from "@effect-kratos/core/aspect/Retry"
import * as FiberCensus from "@effect-kratos/testing/FiberCensus"
import * as Journal from "@effect-kratos/testing/Journal"
import * as JournalFile from "@effect-kratos/testing/JournalFile"
import * as Channels from "@effect-kratos/transport/Channels"
import * as CpuUsage from "@effect-kratos/transport/CpuUsage"
import * as Server from "@effect-kratos/transport/Server"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { announce } from "../src/Announce.ts"
import { Work } from "../src/gen/chaos/v1/work_effect.ts"
import * as NodeConfig from "./NodeConfig.ts"
import * as RegistryClient from "./registry/RegistryClient.ts"
import * as WorkLive from "./WorkLive.ts"

const Announce = Layer.effectDiscard(Server.Server.use(({ address }) => Effect.sync(() => announce(address.port))))

const census = FiberCensus.make()

const Main = Layer.unwrap(
  Effect.gen(function* () {
    const config = yield* NodeConfig.decode(process.argv[2])
    const { broken, burn, id, limited, name, registry, retries, ttl, upstream, wait } = config
    const sink = yield* JournalFile.open(config.journal)
    const next =
      upstream === undefined
        ? undefined
        : Context.get(
            yield* Layer.build(
              Work.client(upstream, { aspects: retries ? Aspect.compose(Retry.make(), Journal.client) : Journal.client }).pipe(
                Layer.provide(Channels.layerDirect)
              )
            ),
            Work
          )
    const app = Announce.pipe(
      Layer.provide(App.layer({ id, name })),
      Layer.provide(
        Server.layer({
          services: [Work],
          host: "127.0.0.1",
          port: 0,
          aspects: limited ? Aspect.compose(RateLimit.bbr(), Journal.server(id, sink)) : Journal.server(id, sink)
        })
      ),
      Layer.provide(WorkLive.layer({ node: id, sink, census, broken, wait, burn, next }))
    )
    const guarded = app.pipe(Layer.provide(CpuUsage.layer()))
    return registry === undefined ? guarded : guarded.pipe(Layer.provide(RegistryClient.layer({ address: registry, ttl })))
  })
)

NodeRuntime.runMain(Effect.provide(Layer.launch(Main), census.layer))
