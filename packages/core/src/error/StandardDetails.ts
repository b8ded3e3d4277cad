/**
 * Two of the standard details of errors, `google.rpc.BadRequest` and `google.rpc.RetryInfo`, written in protobuf's binary form by hand: this
 * package knows no protobuf, and what refuses a call here should say why and until when. Clients read them with the transport's
 * `ErrorDetails.unpack`.
 */
import type { Detail } from "./Detail.ts"

/** What is wrong with one field of a request. */
export interface FieldViolation {
  /** Path of the field, `user.emails[0]`; empty for the message as a whole. */
  readonly field: string
  /** For people. */
  readonly description: string
  /** For programs: the rule that does not hold, `string.min_len`. */
  readonly reason?: string | undefined
}

/** The fields of a request that are wrong. */
export const badRequest = (violations: ReadonlyArray<FieldViolation>): Detail => {
  const out: Array<number> = []
  for (const { description, field, reason = "" } of violations) {
    const inner: Array<number> = []
    text(inner, 1, field)
    text(inner, 2, description)
    text(inner, 3, reason)
    bytes(out, 1, inner)
  }
  return { type: "google.rpc.BadRequest", value: Uint8Array.from(out) }
}

/** How long a client should wait before it tries again, in milliseconds. */
export const retryInfo = (millis: number): Detail => {
  const whole = Math.max(0, Math.ceil(millis))
  const duration: Array<number> = []
  number(duration, 1, Math.floor(whole / 1000))
  number(duration, 2, (whole % 1000) * 1_000_000)
  const out: Array<number> = []
  bytes(out, 1, duration)
  return { type: "google.rpc.RetryInfo", value: Uint8Array.from(out) }
}

const encoder = new TextEncoder()

const text = (out: Array<number>, field: number, value: string): void => {
  if (value !== "") bytes(out, field, encoder.encode(value))
}

const bytes = (out: Array<number>, field: number, value: ArrayLike<number>): void => {
  out.push((field << 3) | 2)
  varint(out, value.length)
  for (let i = 0; i < value.length; i++) out.push(value[i]!)
}

const number = (out: Array<number>, field: number, value: number): void => {
  if (value === 0) return
  out.push(field << 3)
  varint(out, value)
}

const varint = (out: Array<number>, value: number): void => {
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) out.push((rest % 128) | 0x80)
  out.push(rest)
}
