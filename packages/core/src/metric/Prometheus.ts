/**
 * Metrics of an Effect registry in the text forms that Prometheus reads: its own (0.0.4), and OpenMetrics 1.0 with exemplars.
 *
 * Names follow OpenTelemetry's rules for Prometheus: dots become underscores, the unit is a suffix (`rpc_server_call_duration_seconds`), counters end
 * in `_total`. Metrics of different types that come out under one name would make the whole page unreadable: the first wins.
 */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Exemplar } from "./Series.ts"

export interface Options {
  /** The form to write. Default `text`. */
  readonly format?: "text" | "openmetrics" | undefined
  /** Put before all names, with an underscore. */
  readonly prefix?: string | undefined
}

export const contentType = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
} as const

/** The form that an `accept` header asks for. */
export const negotiate = (accept: string | undefined): "text" | "openmetrics" =>
  accept !== undefined && /\bapplication\/openmetrics-text\b/i.test(accept) ? "openmetrics" : "text"

/** All metrics of the registry that `services` hold. */
export const format = (services: Context.Context<never>, options: Options = {}): string => {
  const open = options.format === "openmetrics"
  const prefix = options.prefix === undefined || options.prefix === "" ? "" : `${options.prefix}_`
  const families = new Map<string, Family>()
  for (const snapshot of Metric.snapshotUnsafe(services)) {
    const unit = unitOf(snapshot.attributes)
    const type =
      snapshot.type === "Frequency" || (snapshot.type === "Counter" && snapshot.state.incremental) ? "counter" : typeOf(snapshot.type)
    const name = nameOf(prefix + snapshot.id, unit, type)
    let family = families.get(name)
    if (family === undefined) families.set(name, (family = { name, type, unit, help: snapshot.description ?? "", series: [] }))
    if (family.type === type) family.series.push(snapshot)
  }
  const lines: Array<string> = []
  for (const family of families.values()) write(lines, family, open)
  if (open) lines.push("# EOF")
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`
}

interface Family {
  /** Without `_total`. */
  readonly name: string
  readonly type: "counter" | "gauge" | "histogram" | "summary"
  readonly unit: string
  readonly help: string
  readonly series: Array<Metric.Metric.Snapshot>
}

const typeOf = (type: Metric.Metric.Type): Family["type"] => (type === "Histogram" ? "histogram" : type === "Summary" ? "summary" : "gauge")

/** Units by UCUM's codes and by the words of Effect's timers. */
const units: Readonly<Record<string, string>> = {
  s: "seconds",
  ms: "milliseconds",
  us: "microseconds",
  ns: "nanoseconds",
  min: "minutes",
  h: "hours",
  d: "days",
  By: "bytes",
  "1": "ratio",
  "%": "percent"
}

const unitOf = (attributes: Metric.Metric.AttributeSet | undefined): string => {
  const unit = attributes?.["unit"] ?? attributes?.["time_unit"] ?? ""
  return units[unit] ?? (/^[a-z]+$/.test(unit) ? unit : "")
}

const nameOf = (id: string, unit: string, type: Family["type"]): string => {
  const plain = id.replace(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=[0-9])/, "_")
  const bare = type === "counter" ? plain.replace(/_total$/, "") : plain
  return unit === "" || bare.endsWith(`_${unit}`) ? bare : `${bare}_${unit}`
}

const write = (lines: Array<string>, { help, name, series, type, unit }: Family, open: boolean): void => {
  // the older form names a counter as its lines are named
  const title = type === "counter" && !open ? `${name}_total` : name
  lines.push(`# HELP ${title} ${escape(help === "" ? title : help, open)}`, `# TYPE ${title} ${type}`)
  if (open && unit !== "" && name.endsWith(`_${unit}`)) lines.push(`# UNIT ${title} ${unit}`)
  const seen = new Set<string>()
  for (const one of series) {
    const labels = labelsOf(one.attributes)
    // two series that differ in what labels cannot say
    if (one.type !== "Frequency" && seen.has(labels)) continue
    seen.add(labels)
    switch (one.type) {
      case "Counter":
        lines.push(`${type === "counter" ? `${name}_total` : name}${braces(labels)} ${number(one.state.count)}`)
        break
      case "Gauge":
        lines.push(`${name}${braces(labels)} ${number(one.state.value)}`)
        break
      case "Frequency":
        for (const [key, count] of one.state.occurrences)
          lines.push(`${name}_total${braces(labels, `key="${escape(key, true)}"`)} ${count}`)
        break
      case "Histogram":
        histogram(lines, name, labels, one.state, open)
        break
      case "Summary":
        for (const [quantile, value] of one.state.quantiles) {
          if (value !== undefined) lines.push(`${name}${braces(labels, `quantile="${quantile}"`)} ${number(value)}`)
        }
        lines.push(`${name}_sum${braces(labels)} ${number(one.state.sum)}`, `${name}_count${braces(labels)} ${one.state.count}`)
    }
  }
}

const histogram = (
  lines: Array<string>,
  name: string,
  labels: string,
  state: Metric.HistogramState & { readonly exemplars?: ReadonlyArray<Exemplar | undefined> },
  open: boolean
): void => {
  const finite = state.buckets.filter(([boundary]) => boundary !== Infinity)
  const bucket = (le: string, count: number, exemplar: Exemplar | undefined): void => {
    const example = open && exemplar !== undefined ? exemplarOf(exemplar) : ""
    lines.push(`${name}_bucket${braces(labels, `le="${le}"`)} ${count}${example}`)
  }
  finite.forEach(([boundary, count], i) => bucket(le(boundary, open), count, state.exemplars?.[i]))
  bucket("+Inf", state.count, state.exemplars?.[finite.length])
  lines.push(`${name}_sum${braces(labels)} ${number(state.sum)}`, `${name}_count${braces(labels)} ${state.count}`)
}

const exemplarOf = ({ spanId, time, traceId, value }: Exemplar): string =>
  ` # {trace_id="${traceId}",span_id="${spanId}"} ${number(value)} ${(time / 1000).toFixed(3)}`

/** OpenMetrics writes numbers of this place with a point. */
const le = (boundary: number, open: boolean): string => (open && Number.isInteger(boundary) ? `${boundary}.0` : String(boundary))

const labelsOf = (attributes: Metric.Metric.AttributeSet | undefined): string => {
  if (attributes === undefined) return ""
  const labels: Array<string> = []
  for (const key of Object.keys(attributes).sort()) {
    if (key !== "unit" && key !== "time_unit")
      labels.push(`${key.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=[0-9])/, "_")}="${escape(attributes[key]!, true)}"`)
  }
  return labels.join(",")
}

const braces = (labels: string, more = ""): string => {
  const all = labels === "" ? more : more === "" ? labels : `${labels},${more}`
  return all === "" ? "" : `{${all}}`
}

const escape = (text: string, quotes: boolean): string => {
  const escaped = text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")
  return quotes ? escaped.replace(/"/g, '\\"') : escaped
}

const number = (value: number | bigint): string => (value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value))
