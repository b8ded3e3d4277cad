/** A variable of the environment that cannot be followed. The value is not part of it: headers hold secrets. */
import * as Schema from "effect/Schema"

export class TelemetryError extends Schema.TaggedError<TelemetryError>("@effect-kratos/transport/telemetry/TelemetryError")(
  "TelemetryError",
  {
    /** `OTEL_TRACES_SAMPLER` and the like. */
    variable: Schema.String,
    message: Schema.String
  }
) {}
