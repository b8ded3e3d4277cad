/**
 * Takes nodes out of which much more calls fail than of the others, for longer each time: gRPC's outlier detection (gRFC A50), with its defaults. A node
 * that answers quickly that it cannot would otherwise draw traffic. Never more than `maxEjectionPercent` of the nodes are out, at least one may be, and
 * never all; a client whose other nodes are all down uses those that are out as well.
 */
import * as OutlierStatistics from "@effect-kratos/aegis/OutlierStatistics"
import * as Duration from "effect/Duration"
import type { Record } from "./Member.ts"

/** How nodes are compared, and the chance that a node which should be out is taken out. */
export interface SuccessRate extends OutlierStatistics.SuccessRateOptions {
  /** In percent. Default 100. */
  readonly enforcementPercentage?: number | undefined
}

/** How a node is judged by itself, and the chance that a node which should be out is taken out. */
export interface FailurePercentage extends OutlierStatistics.FailurePercentageOptions {
  /** In percent. Default 100. */
  readonly enforcementPercentage?: number | undefined
}

export interface Options {
  /** Time between two looks at the nodes. Default 10 seconds. */
  readonly interval?: Duration.Input | undefined
  /** A node is out for this long, times how often it was. Default 30 seconds. */
  readonly baseEjectionTime?: Duration.Input | undefined
  /** The longest time that it is out. Default 5 minutes, or the base time where that is longer. */
  readonly maxEjectionTime?: Duration.Input | undefined
  /** Share of the nodes that may be out at a time, in percent; one may be in any case. Default 10. */
  readonly maxEjectionPercent?: number | undefined
  /**
   * Compares the success rates of nodes. Default: not, as in gRPC. Where all but one never fail it takes out a node that fails once in a while, so it is
   * for fleets in which some calls always fail.
   */
  readonly successRate?: SuccessRate | undefined
  /** Looks at the share of failed calls. Default: with its defaults; false turns it off. */
  readonly failurePercentage?: FailurePercentage | false | undefined
}

export interface OutlierEjection {
  /** Milliseconds. */
  readonly interval: number
  /** Looks at all nodes, once an interval; true when one was taken out or put back. */
  readonly sweep: (records: ReadonlyArray<Record>, now: number, random: () => number) => boolean
}

export const make = (options: Options = {}): OutlierEjection => {
  const { failurePercentage = {}, maxEjectionPercent = 10, successRate } = options
  const interval = Duration.toMillis(options.interval ?? "10 seconds")
  const base = Duration.toMillis(options.baseEjectionTime ?? "30 seconds")
  const longest = Math.max(base, Duration.toMillis(options.maxEjectionTime ?? "5 minutes"))

  /** One more may be out: the first always, unless it is the only node. */
  const mayEject = (records: ReadonlyArray<Record>): boolean => {
    const out = records.filter(({ isEjected }) => isEjected).length
    if (out + 1 >= records.length) return false
    return out === 0 || ((out + 1) * 100) / records.length <= maxEjectionPercent
  }
  const eject = (record: Record, now: number): void => {
    record.ejectedAt = now
    record.multiplier++
  }

  return {
    interval: Math.max(1, interval),
    sweep: (records, now, random) => {
      let changed = false
      const enforce = (outliers: ReadonlyArray<Record>, percentage: number): void => {
        for (const record of outliers) {
          if (record.isEjected || !mayEject(records)) continue
          if (random() * 100 >= percentage) continue
          eject(record, now)
          changed = true
        }
      }
      if (successRate !== undefined)
        enforce(OutlierStatistics.bySuccessRate(records, successRate), successRate.enforcementPercentage ?? 100)
      if (failurePercentage !== false)
        enforce(OutlierStatistics.byFailurePercentage(records, failurePercentage), failurePercentage.enforcementPercentage ?? 100)
      for (const record of records) {
        record.successes = record.failures = 0
        if (record.ejectedAt === undefined) {
          if (record.multiplier > 0) record.multiplier--
        } else if (now > record.ejectedAt + Math.min(base * record.multiplier, longest)) {
          record.ejectedAt = undefined
          changed = true
        }
      }
      return changed
    }
  }
}
