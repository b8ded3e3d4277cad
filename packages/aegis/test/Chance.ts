/** Random numbers for tests: seeded, or the same one always. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

export const seeded = (seed: string): Random.Random =>
  Effect.runSync(
    Effect.contextWith((context: Context.Context<never>) => Effect.succeed(Context.get(context, Random.Random))).pipe(Random.withSeed(seed))
  )

export const constant = (value: number): Random.Random => ({
  nextDoubleUnsafe: () => value,
  nextIntUnsafe: () => Math.floor(value * Number.MAX_SAFE_INTEGER)
})
