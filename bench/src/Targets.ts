/** What we want to be true, and whether the rows of a run say so. A target is a bound on the quotient of two subjects' figures, or on a figure itself. */
import { lessIsBetter, type Row } from "./Row.ts"

export interface Target {
  readonly what: string
  readonly bench: string
  readonly load: string
  readonly unit: string
  readonly subject: string
  /** Undefined where our figure itself is meant. */
  readonly peer: string | undefined
  /** Our figure, divided by the peer's, is to be at least this, or at most this where less is better. */
  readonly bound: number
}

const us = "effect-kratos"

const faster = (what: string, bench: string, load: string, bounds: Readonly<Record<string, number>>, subject = us): ReadonlyArray<Target> =>
  Object.entries(bounds).map(([peer, bound]) => ({ what, bench, load, unit: "calls/s", subject, peer, bound }))

/** A microsecond at most, by the CPU: a figure of its own, no peer's. */
const cheap = (what: string, bench: string, load: string, unit: string, subject: string): Target => ({
  what: `${what}: a microsecond at most`,
  bench,
  load,
  unit,
  subject,
  peer: undefined,
  bound: 1_000_000
})

export const targets: ReadonlyArray<Target> = [
  ...faster("gRPC unary, bare, 10x10", "unary", "10x10", { "grpc-js": 8, http2: 5, "grpc-go": 2, kratos: 3 }),
  ...faster("gRPC unary, bare, 64x1", "unary", "64x1", { "grpc-go": 1.6 }),
  ...faster("gRPC unary, bare, 1x100", "unary", "1x100", { "grpc-go": 1.8 }),
  ...faster("8 more headers, no two calls alike", "headers", "10x10", { "grpc-js": 4 }),
  ...faster("Recovery, Logging, Tracing; nothing records", "aspects", "10x10", { "grpc-js": 4 }, "effect-kratos-aspects"),
  ...faster("Recovery, Logging, RateLimit", "guarded", "10x10", { "kratos-guarded": 3 }, "effect-kratos-guarded"),
  ...faster("the same, Tracing and Metrics; all recording", "guarded", "10x10", { "grpc-js": 2.5 }, "effect-kratos-recording"),
  ...["breaker", "bbr", "token bucket", "token bucket, 1000 keys"].map((load) => cheap(load, "aegis", load, "calls/CPU-s", us)),
  ...["wrr", "p2c", "filtered"].map((balancer) => cheap(`choosing a node, ${balancer}`, "selector", "25 nodes", "picks/CPU-s", balancer)),
  {
    what: "codec, round trip",
    bench: "codec",
    load: "400 bytes",
    unit: "round trips/s",
    subject: us,
    peer: "protobuf-es",
    bound: 3
  },
  { what: "client, 50 in flight", bench: "client", load: "50 in flight", unit: "calls/CPU-s", subject: us, peer: "grpc-js", bound: 8 },
  { what: "server streaming, 1 KiB", bench: "download", load: "4x1", unit: "messages/s", subject: us, peer: "grpc-js", bound: 8 },
  { what: "server streaming, 1 KiB", bench: "download", load: "4x1", unit: "messages/s", subject: us, peer: "http2", bound: 1 },
  { what: "REST unary", bench: "rest", load: "64x1", unit: "requests/s", subject: us, peer: "fastify", bound: 1.2 },
  { what: "p99 at half of peak", bench: "latency", load: "10x10", unit: "ms p99", subject: us, peer: "grpc-js", bound: 1 },
  {
    what: "idle memory, both bundled",
    bench: "memory",
    load: "10x10",
    unit: "MiB idle",
    subject: "effect-kratos-bundled",
    peer: "grpc-js-bundled",
    bound: 1.2
  }
]

export interface Verdict {
  readonly target: Target
  /** Undefined when the run has no row for it. */
  readonly ratio: number | undefined
  readonly met: boolean | undefined
  /** The same by CPU time instead of the clock, where both were measured. */
  readonly cpuRatio: number | undefined
  readonly cpuMet: boolean | undefined
}

/** Holds the targets against rows. */
export const judge = (rows: ReadonlyArray<Row>, wanted: ReadonlyArray<Target> = targets): ReadonlyArray<Verdict> =>
  wanted.map((target) => {
    const find = (unit: string) => {
      const found = rows.find(
        (row) => row.bench === target.bench && row.load === target.load && row.subject === target.subject && row.unit === unit
      )
      return target.peer === undefined ? found?.median : found?.ratios[target.peer]
    }
    const holds = (ratio: number | undefined) =>
      ratio === undefined || Number.isNaN(ratio) ? undefined : lessIsBetter(target.unit) ? ratio <= target.bound : ratio >= target.bound
    const ratio = find(target.unit)
    const cpuUnit = target.unit.replace(/\/s$/, "/CPU-s")
    const cpuRatio = cpuUnit === target.unit ? undefined : find(cpuUnit)
    return { target, ratio, met: holds(ratio), cpuRatio, cpuMet: holds(cpuRatio) }
  })

const need = ({ bound, peer, unit }: Target): string =>
  `${lessIsBetter(unit) ? "≤" : "≥"} ${peer === undefined ? bound.toLocaleString("en-US") : `${bound} × ${peer}`}`

const word = (met: boolean | undefined): string => (met === undefined ? "" : met ? "met" : "missed")

const figure = (ratio: number | undefined): string =>
  ratio === undefined ? "" : ratio < 1000 ? ratio.toFixed(2) : Math.round(ratio).toLocaleString("en-US")

/** A table whose columns line up. */
export const toTable = (verdicts: ReadonlyArray<Verdict>): string => {
  const lines = [
    ["target", "needed", "unit", "ratio", "", "per CPU-s", ""],
    ...verdicts.map(({ cpuMet, cpuRatio, met, ratio, target }) => [
      target.what,
      need(target),
      target.unit,
      ratio === undefined ? "not measured" : figure(ratio),
      word(met),
      figure(cpuRatio),
      word(cpuMet)
    ])
  ]
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}

export const toJson = ({ cpuMet, cpuRatio, met, ratio, target }: Verdict): string =>
  JSON.stringify({ target: target.what, needed: need(target), unit: target.unit, ratio, met, cpuRatio, cpuMet })
