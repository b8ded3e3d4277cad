/** The service. It knows who calls because its handlers ask for the claims; that there are some is for the types to say. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { Claims } from "./Claims.ts"
import { OutOfStock } from "./gen/orders/v1/error_reason_effect.ts"
import { Orders } from "./gen/orders/v1/orders_effect.ts"
import * as Stack from "./Stack.ts"

interface Order {
  readonly id: string
  readonly customer: string
  readonly item: string
  readonly quantity: number
}

/** All orders of all customers, in memory. */
class Book extends Context.Service<Book, Ref.Ref<ReadonlyArray<Order>>>()("example/Book") {
  static readonly layer = Layer.effect(Book, Ref.make<ReadonlyArray<Order>>([]))
}

/** What there is of everything. */
const STOCK = 50

const place = Effect.fnUntraced(function* ({ item, quantity }: { readonly item: string; readonly quantity: number }) {
  const book = yield* Book
  const { sub } = yield* Claims
  if (item === "bug") return yield* Effect.die(new Error("a bug of this program"))
  if (quantity > STOCK) return yield* new OutOfStock({ message: `there are ${STOCK} of ${item}`, metadata: { item, stock: `${STOCK}` } })
  return yield* Ref.modify(book, (orders) => {
    const order: Order = { id: String(orders.length + 1), customer: sub, item, quantity }
    return [order, [...orders, order]]
  })
})

const list = ({ limit }: { readonly limit: number }) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { sub } = yield* Claims
      const own = (yield* Ref.get(yield* Book)).filter(({ customer }) => customer === sub)
      return Stream.fromIterable(limit === 0 ? own : own.slice(0, limit))
    })
  )

export const layer = (secret: Redacted.Redacted) =>
  Orders.layer(
    {
      placeOrder: place,
      listOrders: list,
      importOrders: (requests) => Effect.map(Stream.runCount(Stream.mapEffect(requests, place)), (placed) => ({ placed })),
      quote: (requests) => Stream.map(requests, ({ item, quantity }) => ({ item, cents: quantity * 100 * item.length }))
    },
    { aspects: Stack.orders(secret) }
  ).pipe(Layer.provide(Book.layer))
