/** What does not compile. */
import { assert, it } from "@effect/vitest"
import * as Aspect from "@effect-kratos/core/Aspect"
import type * as Layer from "effect/Layer"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Audit from "../src/Audit.ts"
import { Claims } from "../src/Claims.ts"
import { Orders } from "../src/gen/orders/v1/orders_effect.ts"
import * as Stack from "../src/Stack.ts"

const handlers = {
  *placeOrder() {
    return { customer: (yield* Claims).sub }
  },
  listOrders: () => Stream.empty,
  importOrders: () => Effect.succeed({}),
  quote: () => Stream.empty
}

it("a handler, or an aspect, that reads the claims without an aspect that provides them", () => {
  const stack = Stack.orders(Redacted.make("secret"))
  const fine: Layer.Layer<Orders> = Orders.layer(handlers, { aspects: stack })
  // @effect-diagnostics missingLayerContext:off
  // @ts-expect-error: no aspects
  const bare: Layer.Layer<Orders> = Orders.layer(handlers)
  // @ts-expect-error: aspects, but none that provides claims
  const unprovided: Layer.Layer<Orders> = Orders.layer(handlers, { aspects: Stack.server })
  // @ts-expect-error: the audit stands outside of them
  const outside: Layer.Layer<Orders> = Orders.layer(handlers, { aspects: Aspect.compose(Audit.server, stack) })
  assert.lengthOf([fine, bare, unprovided, outside], 4)
})
