/** What aspects know of a method before any call, from its descriptor. */
import type { DescMethod } from "@bufbuild/protobuf"
import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt"
import type { Idempotency, Method, Side } from "@effect-kratos/core/Call"

/** `/package.Service/Method`: the name of a method on every wire. */
export const operationOf = (desc: DescMethod): string => `/${desc.parent.typeName}/${desc.name}`

export const of = (side: Side, desc: DescMethod): Method => ({
  side,
  operation: operationOf(desc),
  service: desc.parent.typeName,
  method: desc.name,
  kind: desc.methodKind,
  idempotency: idempotencyOf(desc)
})

const idempotencyOf = ({ idempotency }: DescMethod): Idempotency | undefined =>
  idempotency === Level.NO_SIDE_EFFECTS ? "no_side_effects" : idempotency === Level.IDEMPOTENT ? "idempotent" : undefined
