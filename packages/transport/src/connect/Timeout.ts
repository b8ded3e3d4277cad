/** The `connect-timeout-ms` header: at most ten digits. */

export const HEADER = "connect-timeout-ms"

/** Milliseconds of a header value; undefined when it is not well-formed. */
export const parse = (text: string): number | undefined => (/^\d{1,10}$/.test(text) ? Number(text) : undefined)

/** The header value for a number of milliseconds, rounded up to what fits. */
export const format = (millis: number): string => String(Math.min(9_999_999_999, Math.max(0, Math.ceil(millis))))
