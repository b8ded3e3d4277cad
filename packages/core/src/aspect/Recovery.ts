/**
 * Turns a defect of a handler into an error that the peer may see, and logs it once with its stack.
 *
 * A server answers 500 for a defect in any case; this aspect gives it Kratos' reason `UNKNOWN`, lets the program choose another answer, and
 * makes an ordinary failure of it for the aspects outside. It changes neither failures nor interrupts.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as References from "effect/References"
import * as Aspect from "../Aspect.ts"
import type { CallShape } from "../Call.ts"
import * as KratosError from "../error/KratosError.ts"
import { logLine } from "../internal/logLine.ts"
import * as LiveLevel from "../log/LiveLevel.ts"

export interface Options<E> {
  /** Makes the error that takes the place of a defect. Should it throw, the default is used and both are logged. */
  readonly handler?: ((defect: unknown, call: CallShape) => E) | undefined
}

/** Default: 500, reason `UNKNOWN`, message "unknown request error"; the defect is its cause, which stays in the process. */
export const make = <E = KratosError.KratosError>(options?: Options<E>): Aspect.Aspect<E | KratosError.KratosError> =>
  Aspect.observe<undefined, E | KratosError.KratosError>({
    start: () => undefined,
    end: (call, exit, _, services) => {
      if (Exit.isSuccess(exit) || !Cause.hasDies(exit.cause) || Cause.hasInterrupts(exit.cause)) return undefined
      const defect = exit.cause.reasons.find(Cause.isDieReason)!.defect
      log(call, exit.cause, services)
      if (options?.handler === undefined) return Cause.fail(unknown(defect))
      try {
        return Cause.fail(options.handler(defect, call))
      } catch (thrown) {
        log(call, Cause.die(thrown), services)
        return Cause.fail(unknown(defect))
      }
    }
  })

/** The default on a server. */
export const server: Aspect.Aspect<KratosError.KratosError> = make()

const unknown = (cause: unknown) => KratosError.internalServer("UNKNOWN", "unknown request error", { cause })

const log = (call: CallShape, cause: Cause.Cause<unknown>, services: Context.Context<never>): void => {
  if (!LiveLevel.isEnabled(services, "Error")) return
  const annotations = {
    ...Context.get(services, References.CurrentLogAnnotations),
    kind: call.side,
    component: call.transport,
    operation: call.operation
  }
  logLine(services, "Error", "defect recovered", annotations, cause)
}
