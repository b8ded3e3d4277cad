/**
 * One log line for each call, with Kratos' fields: `kind component operation args code reason latency`, and `error` with the cause when
 * the call failed. Lines go through Effect's Logger as annotations. Nothing is built for a line whose level is not logged.
 *
 * Requests may hold secrets: `args` is absent unless `redact` says what of a request may be written.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Aspect from "../Aspect.ts"
import type { CallShape, Method, Side } from "../Call.ts"
import * as KratosError from "../error/KratosError.ts"
import type { Status } from "../error/Status.ts"
import { logLine } from "../internal/logLine.ts"
import * as LiveLevel from "../log/LiveLevel.ts"

export interface Options {
  /** The level of a call's line by its status (code 200: success, 499: interrupted). Default: `levelPlain`. */
  readonly level?: ((status: Status, call: CallShape) => LogLevel.Severity) | undefined
  /** What of the request message is logged as `args`. Default: nothing. */
  readonly redact?: ((message: unknown, call: CallShape) => unknown) | undefined
  /**
   * Which share of the lines below Warn is written, from 0 to 1, for all methods or asked once for each. A line that stands for others has the share as
   * `sample_rate`. Default 1.
   */
  readonly sample?: number | ((method: Method) => number) | undefined
  /**
   * How many lines of one operation, code and reason are written in an interval (default 1 second), errors included; the next line after it says how many
   * were left out, as `suppressed`. Default: no limit.
   */
  readonly limit?: { readonly lines: number; readonly interval?: Duration.Input | undefined } | undefined
  /** Writes the cause of a failure as text into the field `stack`, as Kratos does, and not beside the line, where loggers format it. Default false. */
  readonly stack?: boolean | undefined
}

/** Kratos' levels: Error for every failed call, else Info. A cancelled call is no failure of anybody's. */
export const levelPlain = ({ code }: Status): LogLevel.Severity => (code === 200 || code === 499 ? "Info" : "Error")

/** Levels for alerts: what the caller did wrong (4xx) is Warn, so that Error means that something here is broken. */
export const levelByClass = ({ code }: Status): LogLevel.Severity => (code >= 500 ? "Error" : code >= 400 && code !== 499 ? "Warn" : "Info")

const on =
  (side: Side) =>
  (options: Options = {}): Aspect.Aspect => {
    const { level = levelPlain, redact, stack = false } = options
    const text = `${side} request`
    const rateOf = rates(options.sample)
    const limit = options.limit === undefined ? undefined : new Limiter(options.limit)
    return Aspect.observe({
      start: (_, services) => Context.get(services, Clock.Clock).monotonicTimeNanosUnsafe(),
      end: (call, exit, started, services) => {
        const status = KratosError.statusFromExit(exit)
        const severity = level(status, call)
        if (!LiveLevel.isEnabled(services, severity)) return
        const rate = LogLevel.isLessThan(severity, "Warn") ? rateOf(call) : 1
        if (rate < 1 && Context.get(services, Random.Random).nextDoubleUnsafe() >= rate) return
        const now = Context.get(services, Clock.Clock).monotonicTimeNanosUnsafe()
        const left = limit === undefined ? 0 : limit.admit(call, status, Number(now) / 1e6)
        if (left < 0) return
        const fields: Record<string, unknown> = {
          ...Context.get(services, References.CurrentLogAnnotations),
          kind: side,
          component: call.transport,
          operation: call.operation
        }
        if (redact !== undefined) fields["args"] = redacted(redact, call)
        fields["code"] = status.code
        fields["reason"] = status.reason
        const cause = Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? exit.cause : undefined
        if (cause !== undefined && stack) fields["stack"] = Cause.pretty(cause).slice(0, MAX_STACK)
        fields["latency"] = Number(now - started) / 1e9
        if (cause !== undefined) fields["error"] = KratosError.format(Cause.squash(cause))
        if (rate < 1) fields["sample_rate"] = rate
        if (left > 0) fields["suppressed"] = left
        logLine(services, severity, text, fields, stack ? undefined : cause)
      }
    })
  }

/** Longest `stack`, in characters; Kratos' recovery has the same limit. */
const MAX_STACK = 65_536

/** How many methods, and how many repeated lines, are told apart at a time. */
const MAX_KEYS = 1000

/** The share of each method, asked once. */
const rates = (sample: Options["sample"]): ((call: CallShape) => number) => {
  if (sample === undefined) return () => 1
  if (typeof sample === "number") return () => sample
  const known = new Map<string, number>()
  return (call) => {
    let rate = known.get(call.operation)
    if (rate === undefined) {
      rate = sample(call)
      if (known.size < MAX_KEYS) known.set(call.operation, rate)
    }
    return rate
  }
}

/** Counts repeated lines by interval. */
class Limiter {
  private readonly lines: number
  private readonly interval: number
  private readonly counts = new Map<string, { window: number; count: number }>()

  constructor({ interval = "1 second", lines }: NonNullable<Options["limit"]>) {
    this.lines = lines
    this.interval = Math.max(1, Duration.toMillis(Duration.fromInputUnsafe(interval)))
  }

  /** How many lines were left out before this one; -1 when it is to be left out itself. */
  admit(call: CallShape, status: Status, now: number): number {
    const window = Math.floor(now / this.interval)
    const full = `${call.operation} ${status.code} ${status.reason}`
    const key = this.counts.has(full) || this.hasRoom(window) ? full : ""
    const known = this.counts.get(key)
    if (known === undefined) {
      this.counts.set(key, { window, count: 1 })
      return this.lines > 0 ? 0 : -1
    }
    if (known.window === window) return ++known.count > this.lines ? -1 : 0
    const left = Math.max(0, known.count - this.lines)
    known.window = window
    known.count = 1
    return left
  }

  /** Makes room by forgetting what is not of this interval. */
  private hasRoom(window: number): boolean {
    if (this.counts.size < MAX_KEYS) return true
    for (const [key, known] of this.counts) if (known.window !== window) this.counts.delete(key)
    return this.counts.size < MAX_KEYS
  }
}

const redacted = (redact: (message: unknown, call: CallShape) => unknown, call: CallShape): unknown => {
  try {
    return redact(call.message, call)
  } catch {
    // the line matters more than its arguments, and the error's text may quote them
    return "<redact failed>"
  }
}

/** Logs `server request`; `latency` in seconds. */
export const makeServer: (options?: Options) => Aspect.Aspect = on("server")

/** Logs `client request`; `latency` in seconds. */
export const makeClient: (options?: Options) => Aspect.Aspect = on("client")

export const server: Aspect.Aspect = makeServer()

export const client: Aspect.Aspect = makeClient()
