/** What a member or a client of the fleet is told by its argument, in JSON; the programs in Go read the same. */
import * as Schema from "effect/Schema"

/** Where to be registered and where to look. */
export const RegistryConfig = Schema.Struct({
  kind: Schema.Literals(["etcd", "consul", "zookeeper"]),
  /** `HOST:PORT`. */
  address: Schema.String
})
export type RegistryConfig = typeof RegistryConfig.Type

const Strings = Schema.Record(Schema.String, Schema.String)

/** Something for a client to do. */
export const Job = Schema.Struct({
  do: Schema.Literals(["visit", "visits", "load", "put", "get", "watch", "talk", "collect", "list"]),
  /** `discovery:///NAME` or `HOST:PORT`; for `list` a name. */
  target: Schema.String,
  protocol: Schema.optionalKey(Schema.Literals(["grpc", "http"])),
  /** Of HTTP. Default: that of the program's own clients. */
  dialect: Schema.optionalKey(Schema.Literals(["v2", "v3", "binary"])),
  /** A request, in protobuf's JSON. */
  message: Schema.optionalKey(Schema.Json),
  /** Of the messages to send. */
  texts: Schema.optionalKey(Schema.Array(Schema.String)),
  /** What goes along as metadata. */
  metadata: Schema.optionalKey(Strings),
  /** Of one call. Default 20 seconds. */
  timeoutMs: Schema.optionalKey(Schema.Finite),
  /** The caller goes away after so long. Default: it does not. */
  cancelMs: Schema.optionalKey(Schema.Finite),
  /** Calls that `visits` makes, one after the other. */
  times: Schema.optionalKey(Schema.Int),
  /** Calls are counted once so many members have answered, which is when all of them are connected. */
  members: Schema.optionalKey(Schema.Int),
  /** Calls a second that `load` makes until the program is told to end. */
  rate: Schema.optionalKey(Schema.Finite)
})
export type Job = typeof Job.Type

export const FleetConfig = Schema.Struct({
  id: Schema.optionalKey(Schema.String),
  name: Schema.String,
  version: Schema.optionalKey(Schema.String),
  metadata: Schema.optionalKey(Strings),
  /** Registered in place of the server's own. */
  endpoints: Schema.optionalKey(Schema.Array(Schema.String)),
  registry: Schema.optionalKey(RegistryConfig),
  /** What `application/json` is to our server: `std` for clients of v3 that are written by hand. */
  json: Schema.optionalKey(Schema.Literals(["protojson", "std"])),
  jobs: Schema.optionalKey(Schema.Array(Job))
})
export type FleetConfig = typeof FleetConfig.Type

export const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(FleetConfig))

/** An error as Kratos sees it; `tag` is the class that our client has for it. */
export const Failure = Schema.Struct({
  code: Schema.Int,
  reason: Schema.String,
  message: Schema.String,
  metadata: Schema.NullOr(Strings),
  tag: Schema.optionalKey(Schema.String)
})

export const Instance = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  version: Schema.String,
  metadata: Schema.NullOr(Strings),
  endpoints: Schema.Array(Schema.String)
})

/** What a job came to: a line of the client's output. */
export const Answer = Schema.Struct({
  /** In protobuf's JSON. */
  reply: Schema.optionalKey(Schema.Json),
  replies: Schema.optionalKey(Schema.Array(Schema.Json)),
  error: Schema.optionalKey(Failure),
  /** Calls by the first member they came to. */
  nodes: Schema.optionalKey(Schema.Record(Schema.String, Schema.Int)),
  failed: Schema.optionalKey(Schema.Int),
  /** The first few. */
  failures: Schema.optionalKey(Schema.Array(Schema.String)),
  instances: Schema.optionalKey(Schema.Array(Instance))
})
export type Answer = typeof Answer.Type

export const decodeAnswer = Schema.decodeUnknownEffect(Schema.fromJsonString(Answer))
