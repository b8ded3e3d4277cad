/** The calls of a server that wait, and how they end when the server goes away. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type * as Fiber from "effect/Fiber"

/** The reason of calls that a stopping server has ended: 503, UNAVAILABLE in gRPC, close 1001 on a WebSocket. */
export const reason = "GOING_AWAY"

export const goingAway = (): KratosError.KratosError => KratosError.serviceUnavailable(reason, "the server is going away")

/** Whether a call has ended because its server has stopped; to open its stream again on another is what there is to do. */
export const isGoingAway = (error: unknown): boolean => error instanceof KratosError.KratosError && error.reason === reason

/** One call. */
export class InFlight {
  /** What its caller is told once the interrupted fiber has ended. */
  verdict: KratosError.KratosError | undefined = undefined
  readonly fiber: Fiber.Fiber<unknown, unknown>
  /** Streams of either side have no end in sight; unary calls have. */
  readonly isStream: boolean

  constructor(fiber: Fiber.Fiber<unknown, unknown>, isStream: boolean) {
    this.fiber = fiber
    this.isStream = isStream
  }

  end(verdict: KratosError.KratosError): void {
    this.verdict ??= verdict
    this.fiber.interruptUnsafe()
  }
}
