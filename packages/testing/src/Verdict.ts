/** What a test of a fleet has shown: laws with what was measured against what may be, and figures beside them. Printed as JSON or as a table. */

export interface Law {
  /** What has to hold, in words. */
  readonly law: string
  readonly holds: boolean
  readonly measured: number | string
  /** What may be measured. */
  readonly bound: string
  /** About time: whatever else keeps the machine busy can break it. */
  readonly timed?: true
}

export interface Verdict {
  readonly scenario: string
  /** All laws hold, and there is at least one. */
  readonly holds: boolean
  readonly laws: ReadonlyArray<Law>
  readonly figures: Readonly<Record<string, number | string>>
}

export const make = (scenario: string, laws: ReadonlyArray<Law>, figures: Readonly<Record<string, number | string>> = {}): Verdict => ({
  scenario,
  holds: laws.length > 0 && laws.every(({ holds }) => holds),
  laws,
  figures
})

/** Broken, and only in what whatever else keeps the machine busy can break: a reason to try again, when nothing else runs. */
export const isOnlyLate = ({ holds, laws }: Verdict): boolean =>
  !holds && laws.length > 0 && laws.every(({ holds, timed }) => holds || timed)

/** Marks a law that is about time. */
export const timed = (law: Law): Law => ({ ...law, timed: true })

/** NaN, of a measurement that did not happen, breaks a law like anything else out of bounds. */
export const atMost = (law: string, measured: number, limit: number, unit = ""): Law => ({
  law,
  holds: measured <= limit,
  measured: round(measured),
  bound: `≤ ${round(limit)}${unit}`
})

export const atLeast = (law: string, measured: number, limit: number, unit = ""): Law => ({
  law,
  holds: measured >= limit,
  measured: round(measured),
  bound: `≥ ${round(limit)}${unit}`
})

export const equal = (law: string, measured: number | string, expected: number | string): Law => ({
  law,
  holds: measured === expected,
  measured,
  bound: String(expected)
})

/** None of the list may be there; the first few are named. */
export const none = (law: string, list: ReadonlyArray<string>): Law => ({
  law,
  holds: list.length === 0,
  measured: list.length === 0 ? 0 : `${list.length}: ${list.slice(0, 3).join("; ")}`,
  bound: "0"
})

const round = (value: number): number => Math.round(value * 1000) / 1000

/** For machines; one line. */
export const json = (self: Verdict): string => JSON.stringify(self)

/** For people. */
export const table = (self: Verdict): string => {
  const lines = [`${self.scenario}: ${self.holds ? "holds" : "BROKEN"}`]
  for (const { bound, holds, law, measured } of self.laws) lines.push(`  ${holds ? "ok    " : "BROKEN"} ${law}: ${measured} (${bound})`)
  const figures = Object.entries(self.figures).map(([name, value]) => `${name} ${typeof value === "number" ? round(value) : value}`)
  if (figures.length > 0) lines.push(`  ${figures.join(" · ")}`)
  return lines.join("\n")
}
