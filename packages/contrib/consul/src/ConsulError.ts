import * as Schema from "effect/Schema"

/** Consul could not be reached, or did not do what was asked. `status` is its HTTP status; 0 when there was no answer. */
export class ConsulError extends Schema.TaggedError<ConsulError>("@effect-kratos/contrib-consul/ConsulError")("ConsulError", {
  operation: Schema.String,
  status: Schema.Int,
  message: Schema.String
}) {}
