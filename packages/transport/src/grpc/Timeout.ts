/** The `grpc-timeout` header: at most eight digits and a unit (gRPC over HTTP/2, "Requests"). */

const MILLIS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** Eight digits. */
const MOST = 99_999_999

/** Milliseconds of a header value; undefined when it is not well-formed. */
export const parse = (text: string): number | undefined => {
  if (text.length < 2 || text.length > 9) return undefined
  const unit = MILLIS[text.charAt(text.length - 1)]
  if (unit === undefined) return undefined
  let value = 0
  for (let i = 0; i < text.length - 1; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  return value * unit
}

/** The header value for a number of milliseconds, rounded up to what fits; a deadline that has passed is one nanosecond. */
export const format = (millis: number): string => {
  if (!(millis > 0)) return "1n"
  const whole = Math.ceil(millis)
  if (whole <= MOST) return `${whole}m`
  const seconds = Math.ceil(millis / 1000)
  if (seconds <= MOST) return `${seconds}S`
  const minutes = Math.ceil(millis / 60_000)
  return minutes <= MOST ? `${minutes}M` : `${Math.min(MOST, Math.ceil(millis / 3_600_000))}H`
}
