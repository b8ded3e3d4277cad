/** Layers that are built from a part of the config, and built again when that part, and only that part, has changed. */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as LayerRef from "effect/LayerRef"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ConfigStore } from "./ConfigStore.ts"
import type { Part } from "./Snapshot.ts"

/**
 * A reference to what `build` makes of the part. Whoever takes it (`ref.contextEffect` in a scope, or `Effect.provide(call, ref.get)`) keeps what was there
 * when they took it until they are done; later takers get what was built of the changed part. When that cannot be built, the error is logged and what is built
 * of the last good part is handed out on.
 */
export const make = Effect.fnUntraced(function* <A, I, E, R>(
  part: Part<A>,
  build: (value: A) => Layer.Layer<I, E, R>
): Effect.fn.Return<LayerRef.LayerRef<I, E>, E | Config.ConfigError, ConfigStore | R | Scope.Scope> {
  const store = yield* ConfigStore
  let value = yield* store.get(part)
  const ref = yield* LayerRef.make(
    // a layer that somebody still holds would be shared, not built again
    Layer.fresh(Layer.unwrap(Effect.sync(() => build(value)))),
    // held, so that the first taker after a change does not wait
    { preload: true, idleTimeToLive: "1 minute" }
  )
  yield* store.watch(part).pipe(
    Stream.filter((changed) => !Equal.equals(changed, value)),
    Stream.runForEach((changed) => {
      const good = value
      value = changed
      return Effect.catchCause(ref.refresh, (cause) =>
        Effect.logError("config: what is built of a changed part failed, the last good one stays", cause).pipe(
          Effect.andThen(Effect.sync(() => (value = good))),
          Effect.andThen(ref.invalidate)
        )
      )
    }),
    Effect.ignore, // only the first decoding fails, and that has been done above
    Effect.forkScoped
  )
  return ref
})
