/** A `google.api.http` rule that cannot be served. It is found when the server is built, not when the first request comes. */
import * as Schema from "effect/Schema"

export class RestRuleError extends Schema.TaggedError<RestRuleError>("@effect-kratos/transport/rest/RestRuleError")("RestRuleError", {
  /** `package.Service.Method`. */
  method: Schema.String,
  /** The path template of the rule, or of the additional binding, at fault. */
  template: Schema.String,
  message: Schema.String
}) {}
