/** What a customer meets: each aspect in the answer to a call. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as ErrorDetails from "@effect-kratos/transport/ErrorDetails"
import { BadRequestSchema, RetryInfoSchema } from "@effect-kratos/transport/gen/google/rpc/error_details_pb.js"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Orders } from "./gen/orders/v1/orders_effect.ts"

/** A failure in one line, with what its details say. */
const say = (error: KratosError.Marked): string => {
  const fields = ErrorDetails.unpack(error, BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field))
  const wait = ErrorDetails.unpack(error, RetryInfoSchema)[0]?.retryDelay
  return [
    KratosError.code(error),
    KratosError.reason(error),
    ...(fields.length === 0 ? [] : [`fields ${fields.join(", ")}`]),
    ...(wait === undefined ? [] : [`again in ${Number(wait.seconds) * 1000 + wait.nanos / 1e6} ms`])
  ].join(" ")
}

const answer = <A, E extends KratosError.Marked, R>(
  call: Effect.Effect<A, E, R>,
  text: (reply: A) => string
): Effect.Effect<string, never, R> => Effect.match(call, { onSuccess: text, onFailure: say })

const tea = { item: "tea", quantity: 2 }

export const tour: ReadonlyArray<readonly [what: string, call: Effect.Effect<string, never, Orders>]> = [
  [
    "place an order",
    answer(
      Orders.use((orders) => orders.placeOrder(tea)),
      ({ customer, id }) => `order ${id} of ${customer}`
    )
  ],
  [
    "one that is wrong",
    answer(
      Orders.use((orders) => orders.placeOrder({ item: "", quantity: 0 })),
      () => "taken"
    )
  ],
  [
    "too many",
    answer(
      Orders.use((orders) => orders.placeOrder({ item: "tea", quantity: 99 })),
      () => "taken"
    )
  ],
  [
    "meet a bug",
    answer(
      Orders.use((orders) => orders.placeOrder({ item: "bug", quantity: 1 })),
      () => "taken"
    )
  ],
  [
    "import three",
    answer(
      Orders.use((orders) => orders.importOrders(Stream.make(tea, tea, tea))),
      ({ placed }) => `${placed} placed`
    )
  ],
  [
    "import a wrong one",
    answer(
      Orders.use((orders) => orders.importOrders(Stream.make(tea, { item: "tea", quantity: 1000 }))),
      () => "taken"
    )
  ],
  [
    "list mine",
    answer(
      Orders.use((orders) => Stream.runCollect(orders.listOrders({ limit: 3 }))),
      (orders) => `${orders.length} orders`
    )
  ],
  [
    "ask for prices",
    answer(
      Orders.use((orders) => Stream.runCollect(orders.quote(Stream.make(tea, { item: "coffee", quantity: 1 })))),
      (prices) => prices.map(({ cents, item }) => `${item} ${cents}`).join(", ")
    )
  ],
  [
    "call too often",
    Effect.map(
      Effect.all(
        Array.from({ length: 20 }, () =>
          answer(
            Orders.use((orders) => Stream.runCollect(orders.listOrders({}))),
            () => "ok"
          )
        ),
        { concurrency: "unbounded" }
      ),
      (answers) => answers.find((text) => text !== "ok") ?? "always ok"
    )
  ]
]
