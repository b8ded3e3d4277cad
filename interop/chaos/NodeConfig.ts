/** What a node of the fleet is told by its first argument, in JSON. */
import * as Schema from "effect/Schema"

export const NodeConfig = Schema.Struct({
  /** The service that it registers as. */
  name: Schema.String,
  /** Its instance's id, and its name in journals. */
  id: Schema.String,
  /** `HOST:PORT` of the registry; none: it is not registered. */
  registry: Schema.optionalKey(Schema.String),
  /** Of its registration, in milliseconds. */
  ttl: Schema.Int,
  /** The file of its journal. */
  journal: Schema.String,
  /** The target that it passes calls on to. */
  upstream: Schema.optionalKey(Schema.String),
  /** Tries calls to the next node again. */
  retries: Schema.Boolean,
  /** Sheds load, as `RateLimit.bbr` does. */
  limited: Schema.Boolean,
  /** Answers every unary call with 503. */
  broken: Schema.Boolean,
  /** Time that a unary call waits, in milliseconds. */
  wait: Schema.Finite,
  /** Processor time that a unary call takes, in milliseconds. */
  burn: Schema.Finite
})
export type NodeConfig = typeof NodeConfig.Type

export const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(NodeConfig))
