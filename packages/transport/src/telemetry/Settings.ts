/**
 * What `OTEL_*` variables say, by OpenTelemetry's specification of SDK configuration, read through Effect's `Config`. An empty variable counts as absent. Where
 * the specification lets an SDK warn and go on, this fails: a misspelt sampler would be found months later, in a trace that is not there.
 */
import type { Propagators } from "@effect-kratos/core/aspect/TraceHeaders"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { TelemetryError } from "./TelemetryError.ts"

export type Signal = "traces" | "metrics" | "logs"

/** Where a signal goes by OTLP. */
export interface Otlp {
  readonly url: string
  readonly protocol: "http/protobuf" | "http/json"
  readonly headers: Redacted.Redacted<Readonly<Record<string, string>>>
  readonly compression: "gzip" | "none"
  /** Milliseconds for one batch, attempts included. */
  readonly timeout: number
}

/** How records are gathered. Durations in milliseconds. */
export interface Batch {
  readonly delay: number
  readonly maxQueue: number
  readonly maxBatch: number
}

export type Sampler =
  | { readonly root: "on" | "off"; readonly parentBased: boolean }
  | { readonly root: "ratio"; readonly ratio: number; readonly parentBased: boolean }

export interface Settings {
  readonly serviceName: string | undefined
  readonly resource: Readonly<Record<string, string>>
  readonly traces: { readonly exporter: "none" | "console" | Otlp; readonly batch: Batch; readonly sampler: Sampler }
  readonly metrics: {
    readonly otlp: Otlp | undefined
    readonly console: boolean
    readonly prometheus: Address | undefined
    readonly interval: number
  }
  readonly logs: { readonly otlp: Otlp | undefined; readonly batch: Batch }
  readonly propagators: Propagators
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** The settings; undefined when `OTEL_SDK_DISABLED` is true. */
export const read: Effect.Effect<Settings | undefined, TelemetryError> = Effect.gen(function* () {
  const disabled = yield* text("OTEL_SDK_DISABLED")
  if (disabled?.toLowerCase() === "true") return undefined
  const traces = yield* exporters("traces", ["otlp", "console", "none"])
  if (traces.length > 1) return yield* invalid("OTEL_TRACES_EXPORTER", "names several exporters; spans go to one")
  const metrics = yield* exporters("metrics", ["otlp", "prometheus", "console", "none"])
  const logs = yield* exporters("logs", ["otlp", "console", "none"])
  const trace = traces[0] ?? "none"
  return {
    serviceName: yield* text("OTEL_SERVICE_NAME"),
    resource: yield* pairs("OTEL_RESOURCE_ATTRIBUTES"),
    traces: {
      exporter: trace === "otlp" ? yield* otlp("traces") : trace === "console" ? "console" : "none",
      batch: yield* batch("OTEL_BSP", 5_000),
      sampler: yield* sampler
    },
    metrics: {
      otlp: metrics.includes("otlp") ? yield* otlp("metrics") : undefined,
      console: metrics.includes("console"),
      prometheus: metrics.includes("prometheus")
        ? {
            host: (yield* text("OTEL_EXPORTER_PROMETHEUS_HOST")) ?? "localhost",
            port: yield* integer("OTEL_EXPORTER_PROMETHEUS_PORT", 9464, 0, 65_535)
          }
        : undefined,
      interval: yield* integer("OTEL_METRIC_EXPORT_INTERVAL", 60_000, 1)
    },
    logs: { otlp: logs.includes("otlp") ? yield* otlp("logs") : undefined, batch: yield* batch("OTEL_BLRP", 1_000) },
    propagators: yield* propagators
  }
})

const invalid = (variable: string, message: string): Effect.Effect<never, TelemetryError> =>
  Effect.fail(new TelemetryError({ variable, message: `${variable} ${message}` }))

const text = (name: string): Effect.Effect<string | undefined, TelemetryError> =>
  Effect.gen(function* () {
    const found = Option.getOrUndefined(yield* Config.option(Config.String(name)))?.trim()
    return found === "" ? undefined : found
  }).pipe(Effect.catchTag("ConfigError", () => invalid(name, "cannot be read")))

/** The first of several variables that is there, with its name. */
const first = (...names: ReadonlyArray<string>): Effect.Effect<readonly [name: string, value: string | undefined], TelemetryError> =>
  Effect.gen(function* () {
    for (const name of names) {
      const value = yield* text(name)
      if (value !== undefined) return [name, value]
    }
    return [names[0]!, undefined]
  })

/** Durations have an upper end because timers have one. */
const integer = (name: string, otherwise: number, least = 0, most = 2_147_483_647): Effect.Effect<number, TelemetryError> =>
  Effect.flatMap(text(name), (value) => toInteger(name, value, otherwise, least, most))

const toInteger = (name: string, value: string | undefined, otherwise: number, least: number, most: number) => {
  if (value === undefined) return Effect.succeed(otherwise)
  const number = Number(value)
  return /^\d+$/.test(value) && number >= least && number <= most
    ? Effect.succeed(number)
    : invalid(name, `is no number from ${least} to ${most}`)
}

const exporters = (signal: Signal, known: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, TelemetryError> =>
  Effect.gen(function* () {
    const name = `OTEL_${signal.toUpperCase()}_EXPORTER`
    const value = yield* text(name)
    if (value === undefined) {
      // the specification's default is OTLP to this machine; a program that nobody told of a collector has none
      const [, endpoint] = yield* first(`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`, "OTEL_EXPORTER_OTLP_ENDPOINT")
      return endpoint === undefined ? [] : ["otlp"]
    }
    const list = value.split(",").map((one) => one.trim().toLowerCase())
    if (list.some((one) => !known.includes(one))) return yield* invalid(name, `names an exporter that is not one of ${known.join(", ")}`)
    return list.filter((one) => one !== "none")
  })

const otlp = (signal: Signal): Effect.Effect<Otlp, TelemetryError> =>
  Effect.gen(function* () {
    const own = (what: string) => `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${what}`
    const shared = (what: string) => `OTEL_EXPORTER_OTLP_${what}`
    const [protocolName, protocol = "http/protobuf"] = yield* first(own("PROTOCOL"), shared("PROTOCOL"))
    if (protocol !== "http/protobuf" && protocol !== "http/json") {
      return yield* invalid(
        protocolName,
        `is neither http/protobuf nor http/json${protocol === "grpc" ? "; OTLP over gRPC is not supported" : ""}`
      )
    }
    const [endpointName, endpoint] = yield* first(own("ENDPOINT"), shared("ENDPOINT"))
    const base = endpoint ?? "http://localhost:4318"
    const address = URL.canParse(base) ? new URL(base) : undefined
    if (address === undefined || !/^https?:$/.test(address.protocol)) return yield* invalid(endpointName, "is no http or https URL")
    if (endpointName === shared("ENDPOINT") || endpoint === undefined) {
      address.pathname = `${address.pathname.replace(/\/$/, "")}/v1/${signal}`
    }
    const [headersName] = yield* first(own("HEADERS"), shared("HEADERS"))
    const [compressionName, compression = "none"] = yield* first(own("COMPRESSION"), shared("COMPRESSION"))
    if (compression !== "gzip" && compression !== "none") return yield* invalid(compressionName, "is neither gzip nor none")
    const [timeoutName, timeout] = yield* first(own("TIMEOUT"), shared("TIMEOUT"))
    return {
      url: address.toString(),
      protocol,
      headers: Redacted.make(yield* pairs(headersName), { label: "OTLP headers" }),
      compression,
      timeout: yield* toInteger(timeoutName, timeout, 10_000, 1, 2_147_483_647)
    }
  })

const batch = (prefix: string, delay: number): Effect.Effect<Batch, TelemetryError> =>
  Effect.gen(function* () {
    const maxQueue = yield* integer(`${prefix}_MAX_QUEUE_SIZE`, 2048, 1, 1_000_000)
    const maxBatch = yield* integer(`${prefix}_MAX_EXPORT_BATCH_SIZE`, Math.min(512, maxQueue), 1, 1_000_000)
    if (maxBatch > maxQueue) return yield* invalid(`${prefix}_MAX_EXPORT_BATCH_SIZE`, "is greater than the queue")
    return { delay: yield* integer(`${prefix}_SCHEDULE_DELAY`, delay, 1), maxQueue, maxBatch }
  })

/** `key=value,key=value`, percent-encoded. */
const pairs = (name: string): Effect.Effect<Readonly<Record<string, string>>, TelemetryError> =>
  Effect.flatMap(text(name), (value) => {
    const found: Record<string, string> = {}
    for (const pair of value?.split(",") ?? []) {
      if (pair.trim() === "") continue
      const equals = pair.indexOf("=")
      const key = pair.slice(0, equals).trim()
      if (equals < 0 || key === "") return invalid(name, "is no list of key=value")
      try {
        found[decodeURIComponent(key)] = decodeURIComponent(pair.slice(equals + 1).trim())
      } catch {
        return invalid(name, "has a value that is not percent-encoded")
      }
    }
    return Effect.succeed(found)
  })

const sampler: Effect.Effect<Sampler, TelemetryError> = Effect.gen(function* () {
  const name = (yield* text("OTEL_TRACES_SAMPLER")) ?? "parentbased_always_on"
  const parentBased = name.startsWith("parentbased_")
  switch (parentBased ? name.slice("parentbased_".length) : name) {
    case "always_on":
      return { root: "on", parentBased }
    case "always_off":
      return { root: "off", parentBased }
    case "traceidratio": {
      const text_ = (yield* text("OTEL_TRACES_SAMPLER_ARG")) ?? "1"
      const ratio = Number(text_)
      if (!(ratio >= 0 && ratio <= 1)) return yield* invalid("OTEL_TRACES_SAMPLER_ARG", "is no number from 0 to 1")
      return { root: "ratio", ratio, parentBased }
    }
    default:
      return yield* invalid("OTEL_TRACES_SAMPLER", "is not one of always_on, always_off, traceidratio and these with parentbased_ in front")
  }
})

const propagators: Effect.Effect<Propagators, TelemetryError> = Effect.gen(function* () {
  const value = yield* text("OTEL_PROPAGATORS")
  // what ours are without the variable reads B3, too
  if (value === undefined) return { traceContext: true, baggage: true, b3: "read" }
  const list = value.split(",").map((one) => one.trim().toLowerCase())
  const known = ["tracecontext", "baggage", "b3", "b3multi", "none"]
  if (list.some((one) => !known.includes(one))) return yield* invalid("OTEL_PROPAGATORS", `names one that is not among ${known.join(", ")}`)
  if (list.includes("none") && list.length > 1) return yield* invalid("OTEL_PROPAGATORS", "names none beside others")
  const b3 = list.includes("b3") ? "single" : list.includes("b3multi") ? "multi" : "none"
  return { traceContext: list.includes("tracecontext"), baggage: list.includes("baggage"), b3 }
})
