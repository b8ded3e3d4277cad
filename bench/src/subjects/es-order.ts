/** The message as protobuf-es takes it: 64-bit integers are bigint. */
import type { MessageInitShape } from "@bufbuild/protobuf"
import type { OrderSchema } from "../gen/es/bench/v1/load_pb.ts"
import { order } from "../order.ts"

export const esOrder: MessageInitShape<typeof OrderSchema> = {
  ...order,
  customer: order.customer!,
  items: order.items.map((item) => ({ sku: item.sku, title: item.title, quantity: item.quantity, price: BigInt(item.price) })),
  status: 1,
  createdAt: BigInt(order.createdAt),
  signature: Uint8Array.from(order.signature)
}
