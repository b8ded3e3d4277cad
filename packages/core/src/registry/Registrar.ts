import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { RegistryError } from "./RegistryError.ts"
import type { ServiceInstance } from "./ServiceInstance.ts"

/**
 * Tells a registry that an instance is there.
 *
 * An implementation keeps the instance announced for as long as the scope is open, whatever happens to the registry meanwhile: it
 * never gives up renewing, and registers again when the registry has forgotten it. When an instance with the same name and id is
 * announced twice, the later one counts; closing the scope of the earlier one does not take the later one away.
 */
export class Registrar extends Context.Service<
  Registrar,
  {
    /** Announces an instance until the scope closes; returns once it is announced. */
    readonly register: (instance: ServiceInstance) => Effect.Effect<void, RegistryError, Scope.Scope>
  }
>()("@effect-kratos/core/registry/Registrar") {}
