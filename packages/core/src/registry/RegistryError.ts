import * as Schema from "effect/Schema"

/** A registry could not do what was asked. `method` is what it was doing, `cause` the vendor's own error. */
export class RegistryError extends Schema.TaggedError<RegistryError>("@effect-kratos/core/registry/RegistryError")("RegistryError", {
  method: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `registry: ${this.method}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}
