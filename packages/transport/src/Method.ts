/** What aspects know of a method before any call, from its descriptor. */
import type { DescMethod } from "@bufbuild/protobuf"
import type { Method, Side } from "@effect-kratos/core/Call"

/** `/package.Service/Method`: the name of a method on every wire. */
export const operationOf = (desc: DescMethod): string => `/${desc.parent.typeName}/${desc.name}`

export const of = (side: Side, desc: DescMethod): Method => ({
  side,
  operation: operationOf(desc),
  service: desc.parent.typeName,
  method: desc.name,
  kind: desc.methodKind
})
