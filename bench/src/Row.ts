/** One result, and its two forms: a line of JSON for machines, a table for people. */
import * as Statistics from "./Statistics.ts"

export interface Row {
  readonly bench: string
  readonly load: string
  readonly subject: string
  readonly median: number
  readonly unit: string
  /** How many times this subject is as fast as each other one of the same bench and load. */
  readonly ratios: Readonly<Record<string, number>>
}

export interface Measured {
  readonly bench: string
  readonly load: string
  readonly unit: string
  /** One figure a round and subject, in the order of the rounds. */
  readonly samples: ReadonlyMap<string, Statistics.Samples>
}

const hundredths = (value: number): number => Math.round(value * 100) / 100

export const fromMeasured = ({ bench, load, samples, unit }: Measured): ReadonlyArray<Row> =>
  [...samples].map(([subject, values]) => ({
    bench,
    load,
    subject,
    median: Math.round(Statistics.median(values)),
    unit,
    ratios: Object.fromEntries(Object.entries(Statistics.ratios(subject, samples)).map(([name, value]) => [name, hundredths(value)]))
  }))

/** The widest spread of any subject. */
export const noise = ({ samples }: Measured): number => Math.max(0, ...[...samples.values()].map(Statistics.spread))

export const toJson = (row: Row): string => JSON.stringify(row)

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
  return [`${measured.bench}, load ${measured.load}`, ...text].join("\n")
}
