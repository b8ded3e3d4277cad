/** The descriptor of a call's method, for aspects that look into messages. */
import type { DescMethod } from "@bufbuild/protobuf"
import type { CallShape } from "@effect-kratos/core/Call"

/** Undefined for a call that no proto contract stands behind. */
export const of = (call: CallShape): DescMethod | undefined =>
  // Incoming, Outgoing and calls within the process have it; Effect RPC's have not
  (call as { readonly desc?: DescMethod }).desc
