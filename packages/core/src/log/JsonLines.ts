/**
 * Log lines as flat JSON, in the form of Go's `slog` that services of Kratos write: `{"time":…,"level":"INFO","msg":"server request","kind":"server",…}`.
 * Fields that are texts, numbers and booleans are written at once, which makes a line of a call several times cheaper than Effect's general
 * formatter; everything else goes through that formatter, which knows what is to be redacted.
 */
import * as Cause from "effect/Cause"
import * as Formatter from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"

/** Formats lines, without their end. */
export const make = (): Logger.Logger<unknown, string> => {
  const nameOf = memory()
  const timeOf = stamp()
  return Logger.make(({ cause, date, fiber, logLevel, message }) => {
    let line = `{"time":"${timeOf(date)}","level":"${levels[logLevel]}","msg":`
    const parts = Array.isArray(message) ? (message as ReadonlyArray<unknown>) : undefined
    const first = parts === undefined ? message : parts[0]
    line += typeof first === "string" ? quote(first) : Formatter.formatJson(first)
    const annotations = fiber.getRef(References.CurrentLogAnnotations)
    for (const key in annotations) {
      if (!Object.hasOwn(annotations, key)) continue
      line += nameOf(key) + valueOf(annotations[key])
    }
    for (const [label, start] of fiber.getRef(References.CurrentLogSpans)) line += nameOf(label) + String(date.getTime() - start)
    if (parts !== undefined && parts.length > 1) line += `,"args":${Formatter.formatJson(parts.slice(1))}`
    if (cause.reasons.length > 0) line += `,"cause":${JSON.stringify(Cause.pretty(cause))}`
    return `${line}}`
  })
}

/** Writes lines to the console, in place of the loggers that are there. */
export const layer: Layer.Layer<never> = Layer.suspend(() => Logger.layer([Logger.withConsoleLog(make())]))

const levels: Readonly<Record<LogLevel.LogLevel, string>> = {
  All: "ALL",
  Fatal: "FATAL",
  Error: "ERROR",
  Warn: "WARN",
  Info: "INFO",
  Debug: "DEBUG",
  Trace: "TRACE",
  None: "NONE"
}

const own = new Set(["time", "level", "msg", "args", "cause"])

const MAX_NAMES = 1000

/** The names of fields, with what is around them, repeat with every line; how many are kept is bounded. */
const memory = (): ((key: string) => string) => {
  const names = new Map<string, string>()
  return (key) => {
    const known = names.get(key)
    if (known !== undefined) return known
    // a field may not pass itself off as one of the line's own
    const name = `,${JSON.stringify(own.has(key) ? `field.${key}` : key)}:`
    if (names.size < MAX_NAMES) names.set(key, name)
    return name
  }
}

const valueOf = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return quote(value)
    case "boolean":
      return value ? "true" : "false"
    case "number":
      return numberOf(value)
    default:
      return Formatter.formatJson(value)
  }
}

/** Durations in seconds, in whole nanoseconds, are written by their digits: to find the shortest form of any number takes longer. */
const numberOf = (value: number): string => {
  if (value > 0 && value < 1) {
    let nanos = Math.round(value * 1e9)
    if (nanos / 1e9 === value) {
      let one = 1e9
      for (; nanos % 10 === 0; nanos /= 10) one /= 10
      return `0.${String(one + nanos).slice(1)}`
    }
  }
  return Number.isFinite(value) ? String(value) : "null"
}

/** Longest text, in UTF-16 units, that is looked at: most fields are short and have nothing to escape, which is cheaper to see than the general case. */
const SHORT = 64

const quote = (text: string): string => {
  if (text.length > SHORT) return JSON.stringify(text)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code === 0x22 || code === 0x5c || code > 0x7e) return JSON.stringify(text)
  }
  return `"${text}"`
}

/** Many lines fall into one millisecond. */
const stamp = (): ((date: Date) => string) => {
  let last = Number.NaN
  let text = ""
  return (date) => {
    const millis = date.getTime()
    if (millis !== last) {
      text = date.toISOString()
      last = millis
    }
    return text
  }
}
