import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { RegistryError } from "./RegistryError.ts"
import type { ServiceInstance } from "./ServiceInstance.ts"

/** Finds the instances of a service. Lists are ordered by id; a name that nobody registered has the empty list. */
export class Discovery extends Context.Service<
  Discovery,
  {
    /** The instances that are registered now. */
    readonly get: (name: string) => Effect.Effect<ReadonlyArray<ServiceInstance>, RegistryError>
    /**
     * Emits the current instances first, then the whole list after every change; the empty list is a change like any other. A slow
     * reader may miss lists in between but never the last one. The stream does not end by itself.
     */
    readonly watch: (name: string) => Stream.Stream<ReadonlyArray<ServiceInstance>, RegistryError>
  }
>()("@effect-kratos/core/registry/Discovery") {}
