/** The fields of a reply's head that the handler has set. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as HeaderFields from "../HeaderFields.ts"
import type { Incoming } from "../Operation.ts"

export type Fields = ReadonlyArray<readonly [string, string]>

/** REST has no trailers: both kinds of reply metadata go out as headers. */
export const make = (call: Incoming): Fields | KratosError.KratosError => {
  const headers = call.replyIfAny === undefined ? [] : HeaderFields.fromMetadata(call.replyIfAny)
  if (headers instanceof KratosError.KratosError || call.trailersIfAny === undefined) return headers
  const trailers = HeaderFields.fromMetadata(call.trailersIfAny)
  return trailers instanceof KratosError.KratosError ? trailers : [...headers, ...trailers]
}
