/** One result, and its two forms: a line of JSON for machines, a table for people. */
import * as Statistics from "./Statistics.ts"

export interface Row {
  readonly bench: string
  readonly load: string
  readonly subject: string
  readonly median: number
  readonly unit: string
  /** This subject's figure divided by that of each other one of the same bench and load. */
  readonly ratios: Readonly<Record<string, number>>
}

export interface Measured {
  readonly bench: string
  readonly load: string
  readonly unit: string
  /** One figure a round and subject, in the order of the rounds. */
  readonly samples: ReadonlyMap<string, Statistics.Samples>
  /** Subjects that cannot run here, and why. */
  readonly skipped: ReadonlyMap<string, string>
}

/** Whole numbers where they say enough, hundredths of small ones. */
const rounded = (value: number): number => (Math.abs(value) >= 100 ? Math.round(value) : hundredths(value))

const hundredths = (value: number): number => Math.round(value * 100) / 100

export const fromMeasured = ({ bench, load, samples, unit }: Measured): ReadonlyArray<Row> =>
  [...samples].map(([subject, values]) => ({
    bench,
    load,
    subject,
    median: rounded(Statistics.median(values)),
    unit,
    ratios: Object.fromEntries(Object.entries(Statistics.ratios(subject, samples)).map(([name, value]) => [name, hundredths(value)]))
  }))

/** Time and memory: the smaller figure is the better one, and so is the smaller ratio. */
export const lessIsBetter = (unit: string): boolean => /^(?:CPU-)?ms\b|^MiB\b/.test(unit)

/** The widest spread of any subject. */
export const noise = ({ samples }: Measured): number => Math.max(0, ...[...samples.values()].map(Statistics.spread))

export const toJson = (row: Row): string => JSON.stringify(row)

/** A line for each subject that cannot run here. */
export const skippedToJson = ({ bench, load, skipped, unit }: Measured): ReadonlyArray<string> =>
  [...skipped].map(([subject, why]) => JSON.stringify({ bench, load, subject, unit, skipped: why }))

/** A table of one bench and load: the figures, their spread, and a column of ratios for each subject. */
export const toTable = (measured: Measured): string => {
  const rows = fromMeasured(measured)
  const names = rows.map((row) => row.subject)
  const cells = (row: Row): ReadonlyArray<string> => [
    row.subject,
    row.median.toLocaleString("en-US"),
    `${Math.round(Statistics.spread(measured.samples.get(row.subject) ?? []) * 100)}%`,
    ...names.map((name) => (name === row.subject ? "1" : (row.ratios[name] ?? Number.NaN).toFixed(2)))
  ]
  const lines = [["subject", measured.unit, "±", ...names.map((name) => `÷ ${name}`)], ...rows.map(cells)]
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const text = lines.map((line) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join("  ")
  )
  const skipped = [...measured.skipped].map(([name, why]) => `${name.padEnd(widths[0]!)}  skipped: ${why}`)
  return [`${measured.bench}, load ${measured.load}${lessIsBetter(measured.unit) ? " (less is better)" : ""}`, ...text, ...skipped].join(
    "\n"
  )
}
