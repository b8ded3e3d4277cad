/** The codec that our servers and clients use, compiled from the descriptor of protobuf-es; a handler's plain object goes in, a message comes out. */
import * as MessageCodec from "@effect-kratos/transport/MessageCodec"
import { OrderSchema, type Order } from "../gen/es/bench/v1/load_pb.ts"
import { esOrder } from "./es-order.ts"
import { serve } from "./trips.ts"

const codec = MessageCodec.proto(OrderSchema)

serve(
  () => codec.encode(esOrder),
  (bytes) => (codec.decode(bytes) as Order | undefined)?.id ?? "" // a codec of this type gives messages of it
)
