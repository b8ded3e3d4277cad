/** The order service behind its stack, over the wire: every aspect shows in what a caller gets, for every kind of method. */
import * as CpuUsage from "@effect-kratos/aegis/CpuUsage"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Channels from "@effect-kratos/transport/Channels"
import * as ErrorDetails from "@effect-kratos/transport/ErrorDetails"
import { BadRequestSchema } from "@effect-kratos/transport/gen/google/rpc/error_details_pb.js"
import * as Network from "@effect-kratos/transport/Network"
import * as Server from "@effect-kratos/transport/Server"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Customer from "../src/Customer.ts"
import { Orders } from "../src/gen/orders/v1/orders_effect.ts"
import * as OrdersLive from "../src/OrdersLive.ts"
import * as Stack from "../src/Stack.ts"
import { tour } from "../src/tour.ts"

const secret = Redacted.make("the secret of these tests, which is long")

/** A service that is shared by the customers of one test. */
const shop = Effect.gen(function* () {
  const server = Server.layer({ services: [Orders], host: "orders", port: 1, aspects: Stack.server }).pipe(
    Layer.provide(OrdersLive.layer(secret)),
    Layer.provide(CpuUsage.layerConst(100)),
    Layer.provideMerge(Network.layerMemory)
  )
  const context = yield* Layer.build(server)
  const of = (layer: ReturnType<typeof Customer.client>) =>
    Effect.map(
      Layer.build(Layer.fresh(layer).pipe(Layer.provide(Channels.layerDirect), Layer.provide(Layer.succeedContext(context)))),
      (built) => Context.get(built, Orders)
    )
  return {
    as: (name: string, roles: ReadonlyArray<string> = ["buyer"], key = secret) =>
      of(Customer.client("direct:///orders:1", key, name, roles))
  }
})

const tea = { item: "tea", quantity: 2 }
const nothing = { item: "", quantity: 1 }

const calls = (orders: Context.Service.Shape<typeof Orders>, request = tea): ReadonlyArray<Effect.Effect<unknown, unknown>> => [
  orders.placeOrder(request),
  Stream.runDrain(orders.listOrders({ limit: request === tea ? 0 : 1000 })),
  orders.importOrders(Stream.make(request)),
  Stream.runDrain(orders.quote(Stream.make(request)))
]

const status = (error: unknown): string => `${KratosError.code(error)} ${KratosError.reason(error)}`

const quiet = Effect.provideService(References.MinimumLogLevel, "None")

describe("the order service", () => {
  it.effect("lets nobody in whose token is not signed by who may", () =>
    Effect.gen(function* () {
      const { as } = yield* shop
      const eve = yield* as("eve", ["buyer"], Redacted.make("another secret, which is as long as that"))
      for (const call of calls(eve)) {
        const error = yield* Effect.flip(call)
        assert.deepStrictEqual([status(error), (error as Error).message], ["401 UNAUTHORIZED", "Token is invalid"])
      }
    }).pipe(quiet)
  )

  it.effect("keeps a token until shortly before its end, and then has another", () =>
    Effect.gen(function* () {
      const ada = yield* (yield* shop).as("ada")
      yield* ada.placeOrder(tea)
      yield* TestClock.adjust("9 minutes")
      yield* ada.placeOrder(tea)
      yield* TestClock.adjust("2 minutes")
      yield* ada.placeOrder(tea)
      assert.lengthOf(yield* Stream.runCollect(ada.listOrders({})), 3)
    }).pipe(quiet)
  )

  it.effect("says which fields break the contract, in messages of any kind of call", () =>
    Effect.gen(function* () {
      const ada = yield* (yield* shop).as("ada")
      const fields: Array<string | undefined> = []
      for (const call of calls(ada, nothing)) {
        const error = yield* Effect.flip(call)
        assert.strictEqual(status(error), "400 VALIDATOR")
        const [violation] = ErrorDetails.unpack(error, BadRequestSchema)[0]!.fieldViolations
        fields.push(`${violation?.field} ${violation?.reason}`)
      }
      assert.deepStrictEqual(fields, ["item string.min_len", "limit int32.gte_lte", "item string.min_len", "item string.min_len"])
      assert.lengthOf(yield* Stream.runCollect(ada.listOrders({})), 0, "nothing was placed")
    }).pipe(quiet)
  )

  it.effect("gives each caller a rate of its own, and lets only buyers buy", () =>
    Effect.gen(function* () {
      const { as } = yield* shop
      const ada = yield* as("ada")
      for (let i = 0; i < 10; i++) yield* ada.placeOrder(tea)
      for (const call of calls(ada)) assert.strictEqual(status(yield* Effect.flip(call)), "429 RATELIMIT")
      const bob = yield* as("bob", [])
      assert.strictEqual(status(yield* Effect.flip(bob.placeOrder(tea))), "403 FORBIDDEN")
      assert.lengthOf(yield* Stream.runCollect(bob.listOrders({})), 0)
      yield* TestClock.adjust("200 millis")
      yield* ada.placeOrder(tea)
    }).pipe(quiet)
  )

  it.effect("answers the tour", () =>
    Effect.gen(function* () {
      const ada = yield* (yield* shop).as("ada")
      const answers = yield* Effect.forEach(tour, ([, call]) => Effect.provideService(call, Orders, ada))
      assert.deepStrictEqual(answers, [
        "order 1 of ada",
        "400 VALIDATOR fields item, quantity",
        "409 OUT_OF_STOCK",
        "500 UNKNOWN",
        "3 placed",
        "400 VALIDATOR fields quantity",
        "3 orders",
        "tea 600, coffee 600",
        "429 RATELIMIT again in 200 ms"
      ])
    }).pipe(quiet)
  )
})
