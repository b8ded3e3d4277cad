/**
 * How the methods of a client are called, as data: gRPC's service config (grpc.io/docs/guides/service-config, gRFC A6) in its JSON form, with a few fields of
 * our own. It can be written down, checked, kept in a configuration and changed while the program runs; `Policy` makes aspects of it.
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import { Grpc, type GrpcCode, isGrpcCode } from "../error/Status.ts"

/** The JSON form of `google.protobuf.Duration`: decimal seconds and an `s`, `0.1s`; `.1s` is read too. Never negative. */
const Seconds = Schema.String.annotate({ expected: "a duration such as 0.5s" })
  .check(Schema.isPattern(/^(?:\d{1,12}(?:\.\d{0,9})?|\.\d{1,9})s$/, { expected: "a duration such as 0.5s" }))
  .pipe(
    Schema.decodeTo(Schema.Duration, {
      decode: SchemaGetter.transform((text: string) => Duration.seconds(Number(text.slice(0, -1)))),
      encode: SchemaGetter.transform((duration: Duration.Duration) => `${Number((Duration.toMillis(duration) / 1000).toFixed(9))}s`)
    })
  )

const PositiveSeconds = Seconds.check(
  Schema.makeFilter((duration: Duration.Duration) => Duration.toMillis(duration) > 0 || "a duration above zero", { expected: "above 0s" })
)

const nameOf = (code: GrpcCode): string => Object.entries(Grpc).find(([, value]) => value === code)?.[0] ?? "UNKNOWN"

const codeOf = (value: string | number): GrpcCode | undefined => {
  const number =
    typeof value === "number" || /^\d+$/.test(value)
      ? Number(value)
      : Object.entries(Grpc).find(([name]) => name === value.toUpperCase())?.[1]
  return number !== undefined && isGrpcCode(number) ? number : undefined
}

/** A gRPC code by name, whatever its case, or by number. */
const StatusCode = Schema.Union([Schema.String, Schema.Finite]).pipe(
  Schema.decodeTo(Schema.Literals(Object.values(Grpc)), {
    decode: SchemaGetter.transformEffect((value: string | number) => {
      const code = codeOf(value)
      return code === undefined
        ? Effect.fail(new SchemaIssue.InvalidValue({ message: `Expected a gRPC status code, got ${JSON.stringify(value)}` }, value))
        : Effect.succeed(code)
    }),
    encode: SchemaGetter.transform(nameOf)
  })
)

const AboveZero = Schema.Finite.check(Schema.isGreaterThan(0))
const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
/** One attempt more than none would do without a policy. */
const Attempts = Schema.Int.check(Schema.isGreaterThanOrEqualTo(2))

/** Which methods: of a service, all of a service without `method`, all methods without both. */
export const Name = Schema.Struct({ service: Schema.optionalKey(Schema.String), method: Schema.optionalKey(Schema.String) }).check(
  Schema.makeFilter(({ method = "", service = "" }) => method === "" || service !== "" || "a name with a method and no service")
)

export const RetryPolicy = Schema.Struct({
  /** The first included; more than 5 count as 5. */
  maxAttempts: Attempts,
  initialBackoff: PositiveSeconds,
  maxBackoff: PositiveSeconds,
  backoffMultiplier: AboveZero,
  retryableStatusCodes: Schema.NonEmptyArray(StatusCode),
  /** Ours: the longest that one attempt may take. */
  attemptTimeout: Schema.optionalKey(PositiveSeconds),
  /** Ours: whether calls may be executed more than once. Default: where the contract says so, and where the policy names the method. */
  idempotent: Schema.optionalKey(Schema.Boolean)
})
export type RetryPolicy = typeof RetryPolicy.Type

export const HedgingPolicy = Schema.Struct({
  /** The first included; more than 5 count as 5. */
  maxAttempts: Attempts,
  hedgingDelay: Schema.optionalKey(Seconds),
  nonFatalStatusCodes: Schema.optionalKey(Schema.Array(StatusCode)),
  /** Ours: as that of a retry policy. */
  idempotent: Schema.optionalKey(Schema.Boolean)
})
export type HedgingPolicy = typeof HedgingPolicy.Type

/** Ours: a circuit breaker for each operation, by the formula of the SRE book. */
export const CircuitBreaker = Schema.Struct({
  k: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(1))),
  minimumRequests: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
  window: Schema.optionalKey(PositiveSeconds)
})

/** Ours: most calls of an operation at a time, and most that wait for room. */
export const Bulkhead = Schema.Struct({
  limit: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)),
  queue: Schema.optionalKey(Count),
  wait: Schema.optionalKey(PositiveSeconds)
})

export const MethodConfig = Schema.Struct({
  name: Schema.NonEmptyArray(Name),
  waitForReady: Schema.optionalKey(Schema.Boolean),
  /** Of the whole call, all attempts included. An earlier deadline of the caller counts. */
  timeout: Schema.optionalKey(PositiveSeconds),
  maxRequestMessageBytes: Schema.optionalKey(Count),
  maxResponseMessageBytes: Schema.optionalKey(Count),
  retryPolicy: Schema.optionalKey(RetryPolicy),
  hedgingPolicy: Schema.optionalKey(HedgingPolicy),
  circuitBreaker: Schema.optionalKey(CircuitBreaker),
  bulkhead: Schema.optionalKey(Bulkhead)
}).check(
  Schema.makeFilter(
    ({ hedgingPolicy, retryPolicy }) => hedgingPolicy === undefined || retryPolicy === undefined || "either retryPolicy or hedgingPolicy"
  )
)
export type MethodConfig = typeof MethodConfig.Type

export const RetryThrottling = Schema.Struct({
  maxTokens: Schema.Int.check(Schema.isGreaterThan(0), Schema.isLessThanOrEqualTo(1000)),
  tokenRatio: AboveZero
})

/** Ours: retries in proportion to calls. */
export const RetryBudget = Schema.Struct({
  ratio: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))),
  perSecond: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)))
})

const keyOf = ({ method = "", service = "" }: typeof Name.Type): string => `/${service}/${method}`

/** Fields that are not known are ignored, as in gRPC. */
export const ServiceConfig = Schema.Struct({
  methodConfig: Schema.optionalKey(Schema.Array(MethodConfig)),
  retryThrottling: Schema.optionalKey(RetryThrottling),
  /** Ours. Default 20 % of the calls and 10 a second. */
  retryBudget: Schema.optionalKey(RetryBudget)
}).check(
  Schema.makeFilter(({ methodConfig = [] }) => {
    const seen = new Set<string>()
    for (const { name } of methodConfig) {
      for (const key of name.map(keyOf)) {
        if (seen.has(key)) return `one entry of methodConfig for ${key === "//" ? "all methods" : key}`
        seen.add(key)
      }
    }
    return true
  })
)
export type ServiceConfig = typeof ServiceConfig.Type

/** A service config that is none: the message names each place that is wrong. */
export class ServiceConfigError extends Schema.TaggedError<ServiceConfigError>("@effect-kratos/core/policy/ServiceConfigError")(
  "ServiceConfigError",
  { message: Schema.String }
) {}

const decoder = Schema.decodeUnknownEffect(ServiceConfig)
const jsonDecoder = Schema.decodeUnknownEffect(Schema.fromJsonString(ServiceConfig))
const format = SchemaIssue.makeFormatterStandardSchemaV1()

const explain = ({ issue }: Schema.SchemaError): ServiceConfigError => {
  const lines = format(issue).issues.map(({ message, path = [] }) => {
    const at = path.map((segment) => (typeof segment === "object" ? segment.key : segment)).reduce(join, "")
    return at === "" ? message : `${at}: ${message}`
  })
  return new ServiceConfigError({ message: `not a service config: ${lines.join("; ")}` })
}

const join = (path: string, key: PropertyKey): string =>
  typeof key === "number" || /^\d+$/.test(String(key)) ? `${path}[${String(key)}]` : path === "" ? String(key) : `${path}.${String(key)}`

/** From a value as JSON has it. */
export const decode = (value: unknown): Effect.Effect<ServiceConfig, ServiceConfigError> =>
  Effect.mapError(decoder(value, { errors: "all" }), explain)

/** From JSON text. */
export const parse = (text: string): Effect.Effect<ServiceConfig, ServiceConfigError> =>
  Effect.mapError(jsonDecoder(text, { errors: "all" }), explain)

/** The value as JSON has it. */
export const encode: (config: ServiceConfig) => typeof ServiceConfig.Encoded = Schema.encodeSync(ServiceConfig)

/** From the configuration, below `path` (default: its root). Defaults to a config without policies where there is nothing. */
export const config = (path?: string): Config.Config<ServiceConfig> => Config.schema(ServiceConfig, path)

/** The entry for a method: that which names it, else its service's, else the one for all methods (gRPC's service config). */
export const methodConfig = (
  self: ServiceConfig,
  method: { readonly service: string; readonly method: string }
): { readonly config: MethodConfig; readonly named: boolean } | undefined => {
  const { service, method: own } = method
  for (const key of [`/${service}/${own}`, `/${service}/`, "//"]) {
    const config = self.methodConfig?.find(({ name }) => name.some((one) => keyOf(one) === key))
    if (config !== undefined) return { config, named: key === `/${service}/${own}` }
  }
  return undefined
}
