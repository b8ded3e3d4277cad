/** Failures of the network, wrapped where they arise. */
import * as Schema from "effect/Schema"

export class ListenError extends Schema.TaggedError<ListenError>("@effect-kratos/transport/ListenError")("ListenError", {
  host: Schema.String,
  port: Schema.Int,
  message: Schema.String,
  cause: Schema.Defect()
}) {}

export class ConnectError extends Schema.TaggedError<ConnectError>("@effect-kratos/transport/ConnectError")("ConnectError", {
  host: Schema.String,
  port: Schema.Int,
  message: Schema.String,
  cause: Schema.Defect()
}) {}
