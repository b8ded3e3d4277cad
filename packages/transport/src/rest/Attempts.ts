/** The attempts of a call that may go on to another node: one at a time, and each hears how it ended. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Deadline from "@effect-kratos/core/Deadline"
import type { Try } from "@effect-kratos/core/selector/Selector"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { DeadlineTimers } from "../DeadlineTimers.ts"
import type { Outgoing } from "../Outgoing.ts"
import type { Node } from "./Nodes.ts"

export class Attempts {
  private readonly call: Outgoing
  private current: Try<unknown> | undefined = undefined

  constructor(call: Outgoing) {
    this.call = call
  }

  /** The call is sent to a node; an earlier one did not get it. */
  begin(node: Node): void {
    this.current?.end("unprocessed")
    this.call.peer = node.address
    this.current = node.begin(this.call)
  }

  /** The node could not be reached. */
  unprocessed(): void {
    this.current?.end("unprocessed")
  }

  /** It has answered, with an error. */
  reply(error: KratosError.KratosError): void {
    this.current?.reply(error)
  }

  /** Ends the last attempt as the call ends. An interrupt behind the deadline is the node's being late, any other the caller's giving up. */
  ensure(timers: DeadlineTimers): <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E> {
    return Effect.onExit((exit) =>
      Effect.withFiber((fiber) => {
        const { current } = this
        if (current === undefined || current.outcome !== undefined) return Effect.void
        if (Exit.isSuccess(exit)) current.reply(undefined)
        else if (!Cause.hasInterrupts(exit.cause)) current.reply(KratosError.fromCause(exit.cause))
        else {
          const deadline = Context.get(fiber.context, Deadline.Current)
          current.end(deadline !== undefined && timers.now() >= deadline ? "failure" : "cancelled")
        }
        return Effect.void
      })
    )
  }
}
