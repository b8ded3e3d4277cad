/**
 * Refuses messages that break their contract: 400 `VALIDATOR`, as in Kratos, with the fields at fault as `google.rpc.BadRequest`. The message
 * of a call is checked before the handler runs, those of a stream one by one as they are read.
 *
 * On a server it guards the handler; on a client it spares the way. What checks is a function; rules of `buf.validate`
 * are checked by the package `contrib/protovalidate`.
 */
import * as Aspect from "../Aspect.ts"
import type { CallShape } from "../Call.ts"
import * as KratosError from "../error/KratosError.ts"
import * as StandardDetails from "../error/StandardDetails.ts"

export interface FieldViolation extends StandardDetails.FieldViolation {}

/** What is wrong with a message: nothing, a sentence, or fields. What it throws is a defect of the call, which does not reach the handler. */
export type Check = (message: unknown, call: CallShape) => undefined | string | ReadonlyArray<FieldViolation>

export interface Options {
  /** Most violations that an error lists. Default 32. */
  readonly maxViolations?: number | undefined
}

/** The reason of the error, code 400. */
export const reason = "VALIDATOR"

/** `checkOf` is asked for every call and should keep what it makes; undefined for calls whose messages have no rules. */
export const make = (checkOf: (call: CallShape) => Check | undefined, options: Options = {}): Aspect.Aspect<KratosError.KratosError> => {
  const { maxViolations = 32 } = options
  return Aspect.observe<undefined, KratosError.KratosError>({
    start: (call) => {
      const check = checkOf(call)
      if (check === undefined) return undefined
      if (call.kind === "unary" || call.kind === "server_streaming") {
        // one that could not be decoded fails by itself
        const error = call.message === undefined ? undefined : errorOf(check(call.message, call), maxViolations)
        return error === undefined ? undefined : Aspect.reject(error)
      }
      call.inspect?.((message) => errorOf(check(message, call), maxViolations))
      return undefined
    },
    end: () => undefined
  })
}

/** From functions for all methods, in order; the first that finds something counts. */
export const all = (checks: ReadonlyArray<Check>, options?: Options): Aspect.Aspect<KratosError.KratosError> => {
  const check: Check = (message, call) => {
    for (const each of checks) {
      const found = each(message, call)
      if (found !== undefined && found.length > 0) return found
    }
    return undefined
  }
  return make(() => check, options)
}

const errorOf = (found: ReturnType<Check>, most: number): KratosError.KratosError | undefined => {
  if (found === undefined || found.length === 0) return undefined
  if (typeof found === "string") return KratosError.badRequest(reason, found)
  const listed = found.length > most ? found.slice(0, most) : found
  const more = found.length > most ? ` (and ${found.length - most} more)` : ""
  const message = listed.map(({ description, field }) => (field === "" ? description : `${field}: ${description}`)).join("; ") + more
  return KratosError.badRequest(reason, message, { details: [StandardDetails.badRequest(listed)] })
}
