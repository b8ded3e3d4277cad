import * as Effect from "effect/Effect"

/** A random UUID (version 4) from the platform's secure source. */
export const uuid: Effect.Effect<string> = Effect.sync(() => globalThis.crypto.randomUUID())
