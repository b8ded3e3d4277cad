/**
 * How many calls there are, how they end and how long they take, by OpenTelemetry's conventions, by Kratos' names, or both. The duration is that of the
 * whole call: for streams until the last message.
 *
 * The series of a method and outcome are looked up once; afterwards a call costs two readings of the clock and an addition. What a peer can choose is
 * bounded: reasons beyond a limit, and operations beyond another, are counted as `_OTHER`.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Tracer from "effect/Tracer"
import * as Aspect from "../Aspect.ts"
import type { CallShape, Side } from "../Call.ts"
import * as KratosError from "../error/KratosError.ts"
import type { Status } from "../error/Status.ts"
import * as Series from "../metric/Series.ts"
import * as Conventions from "./Conventions.ts"

export interface Options {
  /**
   * Whose names: `rpc.server.call.duration` and, for REST on a server, `http.server.request.duration`; or Kratos v3's `server_requests_code_total` and
   * `server_requests_seconds`. Default `opentelemetry`.
   */
  readonly names?: "opentelemetry" | "kratos" | "both" | undefined
  /** Upper limits of a histogram's buckets, in seconds. Default: OpenTelemetry's for durations, Kratos' for its own names. */
  readonly boundaries?: ReadonlyArray<number> | undefined
  /** Keep an example with its trace for each bucket. Default true; without effect on calls without a sampled span. */
  readonly exemplars?: boolean | undefined
  /** How many operations have series of their own. A contract has a fixed number, so this is for servers of unknown ones. Default 1000. */
  readonly maxOperations?: number | undefined
  /** How many outcomes (a code with a reason) of an operation have series of their own. Reasons come from the peer on a client. Default 50. */
  readonly maxOutcomes?: number | undefined
}

/** As the conventions advise for `rpc.server.call.duration`. */
export const boundaries: ReadonlyArray<number> = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

/** As Kratos has them. */
export const boundariesKratos: ReadonlyArray<number> = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]

/** What the calls of an operation with one outcome are added to. */
interface Outcome {
  readonly durations: ReadonlyArray<Series.Histogram>
  readonly counter: Series.Counter | undefined
}

/** The outcomes of an operation on one wire: a method may be reachable by several protocols and paths. */
interface Wire {
  readonly transport: string
  readonly pathTemplate: string | undefined
  readonly httpMethod: string | undefined
  readonly outcome: (status: Status) => Outcome
  readonly ok: Outcome
  readonly failed: Map<string, Outcome>
}

/** What the attributes say of a call. */
type Named = Pick<CallShape, "operation" | "service" | "method" | "transport" | "endpoint" | "pathTemplate" | "httpMethod">

/** How many wires of an operation have series of their own; there are as many as protocols and paths. */
const MAX_WIRES = 64

/** Wires by operation, for one registry under one set of common attributes. */
type Table = Map<string, Array<Wire>>

const on =
  (side: Side) =>
  (options: Options = {}): Aspect.Aspect => {
    const { exemplars = true, maxOperations = 1000, maxOutcomes = 50 } = options
    const tables = new WeakMap<Metric.MetricRegistry, WeakMap<Metric.Metric.AttributeSet, Table>>()
    let registry: Metric.MetricRegistry | undefined
    let common: Metric.Metric.AttributeSet = {}
    let table: Table = new Map()

    const wireOf = (call: CallShape, services: Context.Context<never>): Wire => {
      const into = Context.get(services, Metric.MetricRegistry)
      const attributes = Context.get(services, Metric.CurrentMetricAttributes)
      if (into !== registry || attributes !== common) {
        table = tableOf(tables, into, attributes)
        registry = into
        common = attributes
      }
      const wires = table.get(call.operation)
      if (wires !== undefined) {
        for (let i = 0; i < wires.length; i++) {
          const wire = wires[i]!
          if (wire.transport === call.transport && wire.pathTemplate === call.pathTemplate && wire.httpMethod === call.httpMethod)
            return wire
        }
      }
      return addWire(call, into, attributes)
    }

    const addWire = (call: CallShape, into: Metric.MetricRegistry, attributes: Metric.Metric.AttributeSet): Wire => {
      const operation = table.has(call.operation) || table.size < maxOperations ? call.operation : Conventions.OTHER
      let wires = table.get(operation)
      if (wires === undefined) table.set(operation, (wires = []))
      const { httpMethod, pathTemplate, transport } = call
      const isOther = operation === Conventions.OTHER || wires.length >= MAX_WIRES
      if (isOther) {
        // whatever else differs: one wire for all calls of a transport
        const shared = wires.find(
          (wire) => wire.transport === transport && wire.pathTemplate === undefined && wire.httpMethod === undefined
        )
        if (shared !== undefined) return shared
      }
      // a copy: the call itself, with its message, is not to be kept
      const named: Named = isOther
        ? { operation, service: "", method: Conventions.OTHER, transport, endpoint: "", pathTemplate: undefined, httpMethod: undefined }
        : { operation, service: call.service, method: call.method, transport, endpoint: call.endpoint, pathTemplate, httpMethod }
      const outcome = (status: Status): Outcome => outcomeOf(side, named, status, into, attributes, options)
      const wire: Wire = {
        transport,
        pathTemplate: isOther ? undefined : pathTemplate,
        httpMethod: isOther ? undefined : httpMethod,
        outcome,
        ok: outcome(success),
        failed: new Map()
      }
      wires.push(wire)
      return wire
    }

    const failureOf = (wire: Wire, status: Status): Outcome => {
      const key = `${status.code} ${status.grpc ?? ""} ${status.reason}`
      const known = wire.failed.get(key)
      if (known !== undefined) return known
      if (wire.failed.size < maxOutcomes) {
        const made = wire.outcome(status)
        wire.failed.set(key, made)
        return made
      }
      // codes are few: they stay apart even where there are too many reasons
      const rest = `${status.code}`
      let other = wire.failed.get(rest)
      if (other === undefined) wire.failed.set(rest, (other = wire.outcome({ code: status.code, reason: Conventions.OTHER })))
      return other
    }

    return Aspect.observe({
      start: (_, services) => Context.get(services, Clock.Clock).monotonicTimeNanosUnsafe(),
      end: (call, exit, started, services) => {
        const clock = Context.get(services, Clock.Clock)
        const seconds = Number(clock.monotonicTimeNanosUnsafe() - started) / 1e9
        const wire = wireOf(call, services)
        const { counter, durations } = Exit.isSuccess(exit) ? wire.ok : failureOf(wire, KratosError.statusFromCause(exit.cause))
        counter?.add()
        const span = exemplars ? Context.getOrUndefined(services, Tracer.ParentSpan) : undefined
        const isSampled = span !== undefined && span.sampled
        for (let i = 0; i < durations.length; i++) {
          const histogram = durations[i]!
          const bucket = histogram.record(seconds)
          if (!isSampled) continue
          const time = clock.currentTimeMillisUnsafe()
          if (histogram.wantsExemplar(bucket, time)) {
            histogram.exemplify(bucket, { value: seconds, traceId: span.traceId, spanId: span.spanId, time })
          }
        }
      }
    })
  }

/** Counts what a server is called for. */
export const makeServer: (options?: Options) => Aspect.Aspect = on("server")

/** Counts what a client calls. Put it inside of retries to see attempts, outside to see calls. */
export const makeClient: (options?: Options) => Aspect.Aspect = on("client")

export const server: Aspect.Aspect = makeServer()

export const client: Aspect.Aspect = makeClient()

const success: Status = { code: 200, reason: "" }

const tableOf = (
  tables: WeakMap<Metric.MetricRegistry, WeakMap<Metric.Metric.AttributeSet, Table>>,
  registry: Metric.MetricRegistry,
  attributes: Metric.Metric.AttributeSet
): Table => {
  let byAttributes = tables.get(registry)
  if (byAttributes === undefined) tables.set(registry, (byAttributes = new WeakMap()))
  let table = byAttributes.get(attributes)
  if (table === undefined) byAttributes.set(attributes, (table = new Map()))
  return table
}

const outcomeOf = (
  side: Side,
  call: Named,
  status: Status,
  registry: Metric.MetricRegistry,
  common: Metric.Metric.AttributeSet,
  options: Options
): Outcome => {
  const { names = "opentelemetry" } = options
  const durations: Array<Series.Histogram> = []
  const histogram = (id: string, description: string, attributes: Metric.Metric.AttributeSet, limits: ReadonlyArray<number>): void => {
    const identity = { id, description, attributes: { ...common, ...attributes, unit: "s" } }
    durations.push(Series.histogram(registry, identity, options.boundaries ?? limits))
  }
  if (names !== "kratos") {
    const [id, description, attributes] = conventional(side, call, status)
    histogram(id, description, attributes, boundaries)
  }
  if (names === "opentelemetry") return { durations, counter: undefined }
  const { operation, transport: kind } = call
  const code = String(status.code)
  histogram(`${side}_requests_seconds`, `Duration of calls (${side}), in seconds`, { kind, operation }, boundariesKratos)
  const description = `Number of calls (${side}), by outcome`
  const attributes = { ...common, kind, operation, code, reason: status.reason }
  return { durations, counter: Series.counter(registry, { id: `${side}_requests_code_total`, description, attributes }) }
}

/** The instrument of the conventions for a call, and its attributes. */
const conventional = (
  side: Side,
  call: Named,
  status: Status
): readonly [id: string, description: string, attributes: Metric.Metric.AttributeSet] => {
  const { httpMethod, pathTemplate, transport } = call
  const failed =
    status.code === 200 ? {} : { "error.type": status.reason === "" ? Conventions.statusCode(transport, status) : status.reason }
  if (side === "server" && transport === "http" && httpMethod !== undefined) {
    const attributes = {
      "http.request.method": httpMethod,
      ...(pathTemplate === undefined ? undefined : { "http.route": pathTemplate }),
      "url.scheme": call.endpoint.startsWith("https") ? "https" : "http",
      "http.response.status_code": String(status.code),
      // by the conventions for HTTP, what the caller did wrong is no error of the server's
      ...(status.code >= 500 ? failed : undefined)
    }
    return ["http.server.request.duration", "Duration of HTTP server requests.", attributes]
  }
  const method = call.operation === Conventions.OTHER ? Conventions.OTHER : Conventions.method(call)
  const target = side === "client" ? Conventions.address(call.endpoint) : undefined
  const attributes = {
    "rpc.system.name": Conventions.system(transport),
    "rpc.method": method,
    "rpc.response.status_code": Conventions.statusCode(transport, status),
    ...(target === undefined ? undefined : { "server.address": target.host }),
    ...(target?.port === undefined ? undefined : { "server.port": String(target.port) }),
    ...failed
  }
  return [`rpc.${side}.call.duration`, `Duration of ${side === "server" ? "inbound" : "outbound"} calls.`, attributes]
}
