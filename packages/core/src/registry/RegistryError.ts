import * as Schema from "effect/Schema"
import { messageOf } from "../internal/messageOf.ts"

/**
 * A registry could not do what was asked. `method` is what it was doing, `cause` the vendor's own error, without credentials. `permanent`: it will never
 * do it, since what it was asked or how it is set up is wrong; other failures pass.
 */
export class RegistryError extends Schema.TaggedError<RegistryError>("@effect-kratos/core/registry/RegistryError")("RegistryError", {
  method: Schema.String,
  cause: Schema.Defect(),
  permanent: Schema.optionalKey(Schema.Boolean)
}) {
  override get message(): string {
    return `registry: ${this.method}: ${messageOf(this.cause)}`
  }
}
