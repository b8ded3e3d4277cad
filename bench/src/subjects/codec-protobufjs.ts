/** protobufjs by reflection, which compiles the same functions at run time that its static generator writes. */
import protobuf from "protobufjs"
import { fileURLToPath } from "node:url"
import { order } from "../order.ts"
import { serve } from "./trips.ts"

const root = protobuf.loadSync(fileURLToPath(new URL("../../proto/bench/v1/load.proto", import.meta.url)))
const Order = root.lookupType("bench.v1.Order")

serve(
  () => Order.encode(order).finish(),
  (bytes) => (Order.decode(bytes) as unknown as { readonly id: string }).id // the contract has it
)
