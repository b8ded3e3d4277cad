/** ts-proto: the functions that it generates. */
import { Order } from "../gen/ts-proto/bench/v1/load.ts"
import { order } from "../order.ts"
import { serve } from "./trips.ts"

serve(
  () => Order.encode(order).finish(),
  (bytes) => Order.decode(bytes).id
)
