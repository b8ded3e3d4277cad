/**
 * What a server says about trying again: `grpc-retry-pushback-ms` (gRFC A6), `retry-after` (RFC 9110, section 10.2.3) or `google.rpc.RetryInfo`.
 *
 * A failure may be final: it says to every layer above that the layer next to the fault has done what could be done, because retries in each of three layers
 * make 64 attempts of one call (Google SRE book, "Handling Overload"). It is a mark on the error in this process and a negative push-back on the wire.
 */
import * as Metadata from "../Metadata.ts"
import { areDetails, type Detail } from "./Detail.ts"

/** Milliseconds; negative: do not try again. Trailers, or headers where a wire has no others. */
export const pushback = "grpc-retry-pushback-ms"
/** Seconds or a date. */
export const retryAfter = "retry-after"

/** Milliseconds to wait, or that there is to be no other attempt. Undefined when nothing is said. */
export type RetryAdvice = number | "never"

const finals = new WeakSet<object>()
/** Causes that are looked at. */
const MAX_CAUSES = 8

/** Marks an error as final, wherever it goes in this process. */
export const markFinal = <E>(error: E): E => {
  if (typeof error === "object" && error !== null) finals.add(error)
  return error
}

/** Whether an error, or one that it was made from, is final. */
export const isFinal = (error: unknown): boolean => {
  let current = error
  for (let depth = 0; depth < MAX_CAUSES && typeof current === "object" && current !== null; depth++) {
    if (finals.has(current)) return true
    current = "cause" in current ? current.cause : undefined
  }
  return false
}

/** What a failed reply says; `now` in milliseconds since the epoch. A push-back that cannot be read, or comes twice, means "never", as in gRPC. */
export const of = (reply: Metadata.Metadata, trailers: Metadata.Metadata, error: unknown, now: number): RetryAdvice | undefined => {
  if (isFinal(error)) return "never"
  const values = trailers.get(pushback) ?? reply.get(pushback)
  if (values !== undefined) return values.length === 1 && /^\d{1,10}$/.test(values[0]!) ? Number(values[0]) : "never"
  const after = (reply.get(retryAfter) ?? trailers.get(retryAfter))?.[0]
  return (after === undefined ? undefined : delayOf(after, now)) ?? retryInfo(error)
}

/** Marks an error as final when its reply says so. */
export const received = <E>(error: E, reply: Metadata.Metadata, trailers: Metadata.Metadata): E =>
  (trailers.has(pushback) || reply.has(pushback)) && of(reply, trailers, undefined, 0) === "never" ? markFinal(error) : error

/** Says in a reply's trailers that its failure is final. */
export const send = (trailers: Metadata.MutableMetadata): void => Metadata.set(trailers, pushback, "-1")

const delayOf = (text: string, now: number): number | undefined => {
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

const retryInfo = (error: unknown): number | undefined => {
  if (typeof error !== "object" || error === null || !("details" in error) || !areDetails(error.details)) return undefined
  // `areDetails` has looked
  const found = (error.details as ReadonlyArray<Detail>).find(
    ({ type }) => type.slice(type.lastIndexOf("/") + 1) === "google.rpc.RetryInfo"
  )
  const delay = found && field(found.value, 1)
  if (!(delay instanceof Uint8Array)) return undefined
  const seconds = field(delay, 1) ?? 0
  const nanos = field(delay, 2) ?? 0
  if (typeof seconds !== "number" || typeof nanos !== "number" || Number.isNaN(seconds + nanos)) return undefined
  return seconds < 0 ? 0 : seconds * 1000 + Math.ceil(nanos / 1_000_000)
}

/** A field of a message in protobuf's binary form: `RetryInfo` has one, `Duration` two. Undefined when it is not there, NaN when they are not well-formed. */
const field = (bytes: Uint8Array, wanted: number): number | Uint8Array | undefined => {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 1; at < bytes.length; shift *= 128) {
      const byte = bytes[at++]!
      value += (byte & 0x7f) * shift
      if (byte < 0x80) return value
    }
    at = bytes.length + 1
    return 0
  }
  let found: number | Uint8Array | undefined
  while (at < bytes.length) {
    const tag = varint()
    if ((tag & 7) === 0) {
      const value = varint()
      // ten bytes are a negative number
      if (tag >>> 3 === wanted) found = value > Number.MAX_SAFE_INTEGER ? -1 : value
    } else if ((tag & 7) === 2) {
      const length = varint()
      if (tag >>> 3 === wanted) found = bytes.subarray(at, at + length)
      at += length
    } else return Number.NaN
  }
  return at === bytes.length ? found : Number.NaN
}
