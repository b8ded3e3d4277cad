/** An Effect RpcGroup on the same port: aspects, typed errors, deadlines, streams, interrupts. */
import * as Aspect from "@effect-kratos/core/Aspect"
import { Call } from "@effect-kratos/core/Call"
import * as Reason from "@effect-kratos/core/error/Reason"
import * as Deadline from "@effect-kratos/core/Deadline"
import * as Memory from "@effect-kratos/core/registry/Memory"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import { assert, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Schedule from "effect/Schedule"
import * as Channels from "../../src/Channels.ts"
import * as RpcClientFace from "../../src/rpc/Client.ts"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Calls } from "../../src/rpc/Calls.ts"
import * as RpcFace from "../../src/rpc/Server.ts"
import * as Server from "../../src/Server.ts"

class NotThere extends Reason.make<NotThere>("test.NotThere")("NotThere", { code: 404, reason: "NOT_THERE" }) {}

const detail = { type: "x.v1.A", value: Uint8Array.of(1, 255) }

class Things extends RpcGroup.make(
  Rpc.make("Get", { payload: { id: Schema.Int }, success: Schema.String, error: NotThere }),
  Rpc.make("Count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
  Rpc.make("Hang", { success: Schema.String })
).middleware(Calls) {}

const setup = (protocol: "http" | "websocket") =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    const interrupted = yield* Deferred.make<void>()
    const hanging = yield* Deferred.make<void>()
    const Live = Things.toLayer({
      Get: ({ id }) =>
        id < 0
          ? Effect.fail(new NotThere({ message: `no thing ${id}`, metadata: { id: String(id) }, details: [detail] }))
          : (Effect.map(Call, (call) => `${call.operation} ${id}`).pipe(Effect.provide(Layer.empty)) as Effect.Effect<string>),
      Count: ({ to }) => Stream.range(1, to),
      Hang: () =>
        Effect.andThen(Deferred.succeed(hanging, undefined), Effect.never).pipe(
          Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
        )
    })
    const watch = Aspect.observe({
      start: (call) => void seen.push(`start ${call.operation} ${call.kind}`),
      end: (call, exit) => void seen.push(`end ${call.operation} ${exit._tag}`)
    })
    const server = yield* Layer.build(
      Server.layer({
        services: [],
        host: "127.0.0.1",
        port: 0,
        routes: RpcFace.routes({ group: Things, service: "things", aspects: watch, protocol })
      }).pipe(Layer.provide(Live))
    )
    const { address } = server.mapUnsafe.get(Server.Server.key) as Server.Server["Service"]
    const wire =
      protocol === "http"
        ? RpcClient.layerProtocolHttp({ url: `http://127.0.0.1:${address.port}/rpc` }).pipe(Layer.provide(FetchHttpClient.layer))
        : RpcClient.layerProtocolSocket().pipe(Layer.provide(NodeSocket.layerWebSocket(`ws://127.0.0.1:${address.port}/rpc`)))
    // built here, so that the connection lives as long as the test
    const client = yield* RpcClient.make(Things).pipe(
      Effect.provideContext(yield* Layer.build(wire.pipe(Layer.provide(RpcSerialization.layerNdjson))))
    )
    return { address, client, hanging, interrupted, seen }
  })

it.live.each(["http", "websocket"] as const)("serves a group beside the services, under aspects, with typed errors: %s", (protocol) =>
  Effect.gen(function* () {
    const { client, hanging, interrupted, seen } = yield* setup(protocol)
    assert.strictEqual(yield* client.Get({ id: 7 }), "/things/Get 7")
    const error = yield* Effect.flip(client.Get({ id: -1 }))
    assert.instanceOf(error, NotThere)
    assert.deepStrictEqual((error as NotThere).metadata, { id: "-1" })
    assert.deepStrictEqual((error as NotThere).details, [detail])
    assert.deepStrictEqual(yield* Stream.runCollect(client.Count({ to: 3 })), [1, 2, 3])
    assert.deepStrictEqual(seen, [
      "start /things/Get unary",
      "end /things/Get Success",
      "start /things/Get unary",
      "end /things/Get Failure",
      "start /things/Count server_streaming",
      "end /things/Count Success"
    ])
    const late = yield* Effect.flip(RpcClient.withHeaders(client.Hang(), { "x-timeout-ms": "20" }))
    assert.strictEqual(late._tag, "KratosError")
    assert.strictEqual((late as { readonly code: number }).code, 504)
    const garbage = yield* Effect.flip(RpcClient.withHeaders(client.Hang(), { "x-timeout-ms": "soon" }))
    assert.strictEqual((garbage as { readonly code: number }).code, 400)
    const fiber = yield* Effect.forkChild(client.Hang())
    yield* Deferred.await(hanging)
    yield* Fiber.interrupt(fiber)
    yield* Deferred.await(interrupted)
  })
)

it.live("calls a group by its name in the registry, with the deadline of the caller", () =>
  Effect.gen(function* () {
    const { address, hanging, interrupted } = yield* setup("http")
    const registry = yield* Layer.build(Memory.layer)
    const channels = Layer.provide(Channels.layer, Layer.succeedContext(registry))
    const protocol = yield* Layer.build(RpcClientFace.layerProtocol("discovery:///things").pipe(Layer.provide(channels)))
    const client = yield* RpcClient.make(Things).pipe(Effect.provideContext(protocol))

    const lost = yield* Effect.flip(client.Get({ id: 1 }))
    assert.strictEqual(lost._tag, "RpcClientError", "nobody is registered yet")

    const instance = ServiceInstance.make({ id: "1", name: "things", endpoints: [`http://127.0.0.1:${address.port}`] })
    yield* Effect.flatMap(Registrar, (registrar) => registrar.register(instance)).pipe(Effect.provideContext(registry))
    assert.strictEqual(
      yield* client
        .Get({ id: 7 })
        .pipe(Effect.retry({ while: (error) => error._tag === "RpcClientError", schedule: Schedule.spaced("5 millis"), times: 200 })),
      "/things/Get 7"
    )
    const soon = (yield* Clock.currentTimeMillis) + 30
    const late = yield* Effect.flip(Effect.provideService(client.Hang(), Deadline.Current, soon))
    assert.strictEqual((late as { readonly code: number }).code, 504)
    yield* Deferred.await(hanging)
    yield* Deferred.await(interrupted)
  })
)
