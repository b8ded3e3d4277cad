/** A stream of messages that somebody looks at as they go by, and may end with an error. */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export type Check = (message: unknown) => KratosError | undefined

/** Messages before the one that is refused still go through. */
export const stream = <A, E>(self: Stream.Stream<A, E>, check: Check): Stream.Stream<A, E | KratosError> =>
  Stream.transformPull(self, (pull) =>
    Effect.sync(() => {
      let failed: KratosError | undefined
      return Effect.suspend(() => {
        if (failed !== undefined) return Effect.fail(failed)
        return Effect.flatMap(pull, (batch) => {
          for (let i = 0; i < batch.length; i++) {
            failed = check(batch[i])
            if (failed !== undefined) return i === 0 ? Effect.fail(failed) : Effect.succeed(batch.slice(0, i) as unknown as typeof batch) // not empty: i > 0
          }
          return Effect.succeed(batch)
        })
      })
    })
  )
