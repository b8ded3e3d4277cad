import * as Schema from "effect/Schema"
import { messageOf } from "../internal/messageOf.ts"

/** A source could not be read, or what it holds is not what its format says. `key` is the file or entry; empty when it is the whole source. */
export class ConfigSourceError extends Schema.TaggedError<ConfigSourceError>("@effect-kratos/core/config/ConfigSourceError")(
  "ConfigSourceError",
  { source: Schema.String, key: Schema.String, cause: Schema.Defect() }
) {
  override get message(): string {
    const where = this.key === "" ? this.source : `${this.source}, ${this.key}`
    return `config: ${where}: ${messageOf(this.cause)}`
  }
}
