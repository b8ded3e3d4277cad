/** Timestamps and durations as text: RFC 3339 in UTC, Go's duration syntax, and the seconds of protobuf-JSON. */
import { create } from "@bufbuild/protobuf"
import { DurationSchema, TimestampSchema, type Duration, type Timestamp } from "@bufbuild/protobuf/wkt"
import { BadText } from "./BadText.ts"

/** With a comma and hours of one digit, as Go has it. */
const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})T(\d{1,2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?(?:Z|([+-])(\d{2}):(\d{2}))$/

/** Reads RFC 3339 with up to nine digits behind the second, from year 1 to 9999. */
export const parseTimestamp = (text: string): Timestamp => {
  const match = rfc3339.exec(text)
  if (match === null) throw BadText.expected("a time in RFC 3339")
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [number, number, number, number, number, number]
  const [offsetHour, offsetMinute] = [Number(match[9] ?? 0), Number(match[10] ?? 0)]
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  // a day that the month does not have moves the date on
  const valid =
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    hour < 24 &&
    minute < 60 &&
    second < 60 &&
    offsetHour < 24 &&
    offsetMinute < 60
  const offset = (match[8] === "-" ? -60 : 60) * (offsetHour * 60 + offsetMinute)
  const seconds = date.getTime() / 1000 + hour * 3600 + minute * 60 + second - offset
  if (!valid || seconds < minSeconds || seconds > maxSeconds) throw BadText.expected("a time in RFC 3339")
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos: Number((match[7] ?? "").padEnd(9, "0")) })
}

const minSeconds = -62_135_596_800
const maxSeconds = 253_402_300_799

/** Writes RFC 3339 in UTC with 0, 3, 6 or 9 digits behind the second. Throws for a time outside of year 1 to 9999. */
export const formatTimestamp = (value: unknown): string => {
  const { nanos, seconds } = value as Timestamp
  const whole = Number(seconds)
  if (whole < minSeconds || whole > maxSeconds || nanos < 0 || nanos > 999_999_999) throw new RangeError("timestamp out of range")
  return `${new Date(whole * 1000).toISOString().slice(0, 19)}${fraction(nanos)}Z`
}

const fraction = (nanos: number): string => {
  if (nanos === 0) return ""
  const digits = String(nanos).padStart(9, "0")
  return `.${digits.endsWith("000000") ? digits.slice(0, 3) : digits.endsWith("000") ? digits.slice(0, 6) : digits}`
}

const units: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  "\u00b5s": 1_000n,
  "\u03bcs": 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n
}
const second = 1_000_000_000n
/** What protobuf allows: about 10,000 years. */
const maxDuration = 315_576_000_000n * second
/** What Go can hold: about 292 years. */
const maxGo = (1n << 63n) - 1n
const goDuration = /^[+-]?(?:(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h)){1,10}$/
const goPart = /(\d*)\.?(\d*)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/g

/** Reads Go's syntax (`1h2m`, `1.5s`, `-250ms`, `0`), of which the seconds of protobuf-JSON are a part. Digits below a nanosecond are dropped. */
export const parseDuration = (text: string): Duration => {
  let nanos = 0n
  if (!/^[+-]?0$/.test(text)) {
    if (!goDuration.test(text)) throw BadText.expected("a duration such as 1.5s")
    for (const [, whole = "", part = "", unit = ""] of text.matchAll(goPart)) {
      nanos += BigInt(whole || "0") * units[unit]! + (BigInt(part || "0") * units[unit]!) / 10n ** BigInt(part.length)
    }
    if (nanos > maxDuration) throw BadText.expected("a duration within 315576000000s")
    if (text[0] === "-") nanos = -nanos
  }
  return create(DurationSchema, { seconds: nanos / second, nanos: Number(nanos % second) })
}

const secondsForm = /^([+-]?)(0|[1-9]\d{0,14}|)(?:\.(\d{0,9}))?s$/

/** Reads the seconds of protobuf-JSON (`1.5s`), with up to nine digits behind the point. */
export const parseSeconds = (text: string): Duration => {
  const match = secondsForm.exec(text)
  const digits = match === null ? "" : match[2]! + (match[3] ?? "")
  if (match === null || digits === "") throw BadText.expected("seconds such as 1.5s")
  const sign = match[1] === "-" ? -1 : 1
  const seconds = BigInt(match[2] === "" ? "0" : match[2]!)
  if (seconds > 315_576_000_000n) throw BadText.expected("a duration within 315576000000s")
  // not -0
  return create(DurationSchema, { seconds: seconds * BigInt(sign), nanos: sign * Number((match[3] ?? "").padEnd(9, "0")) || 0 })
}

/** Writes Go's form (`2m0.5s`, `100ms`); what Go cannot hold is written in seconds. */
export const formatDuration = (value: unknown): string => {
  const duration = value as Duration
  const total = duration.seconds * second + BigInt(duration.nanos)
  const size = total < 0n ? -total : total
  if (size > maxDuration) throw new RangeError("duration out of range")
  const sign = total < 0n ? "-" : ""
  if (size === 0n) return "0s"
  if (size < 1_000n) return `${sign}${size}ns`
  if (size < 1_000_000n) return `${sign}${ratio(size, 1_000n)}\u00b5s`
  if (size < second) return `${sign}${ratio(size, 1_000_000n)}ms`
  if (size > maxGo) return `${sign}${ratio(size, second)}s`
  const minutes = size / units["m"]!
  const rest = `${ratio(size % units["m"]!, second)}s`
  if (minutes === 0n) return sign + rest
  return minutes < 60n ? `${sign}${minutes}m${rest}` : `${sign}${minutes / 60n}h${minutes % 60n}m${rest}`
}

/** Writes seconds with 0, 3, 6 or 9 digits behind the point (`1.500s`), as protobuf-JSON has it. Throws for what protobuf does not allow. */
export const formatSeconds = (value: unknown): string => {
  const { nanos, seconds } = value as Duration
  const total = seconds * second + BigInt(nanos)
  if (total > maxDuration || total < -maxDuration || nanos > 999_999_999 || nanos < -999_999_999)
    throw new RangeError("duration out of range")
  if ((seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0)) throw new RangeError("seconds and nanos have different signs")
  const sign = nanos < 0 && seconds === 0n ? "-" : ""
  return `${sign}${seconds}${fraction(nanos < 0 ? -nanos : nanos)}s`
}

/** A decimal without trailing zeros. */
const ratio = (value: bigint, unit: bigint): string => {
  const digits = String(value % unit)
    .padStart(String(unit).length - 1, "0")
    .replace(/0+$/, "")
  return `${value / unit}${digits === "" ? "" : `.${digits}`}`
}
