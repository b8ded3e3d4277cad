/** protobuf-es as its manual shows it: the message made by `create`, then `toBinary` and `fromBinary`. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { OrderSchema } from "../gen/es/bench/v1/load_pb.ts"
import { esOrder } from "./es-order.ts"
import { serve } from "./trips.ts"

serve(
  () => toBinary(OrderSchema, create(OrderSchema, esOrder)),
  (bytes) => fromBinary(OrderSchema, bytes).id
)
