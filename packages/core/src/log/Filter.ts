/**
 * Keeps what must not be written out of the log, as Kratos' filter does: values of certain keys, and certain values, become `***`; lines below a level or
 * that a predicate names are dropped. It looks at the fields of lines and at objects in their messages, nested ones included; into text it cannot look.
 */
import type * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Decorate from "./decorate.ts"

export interface Options {
  /** Names of fields whose value is masked: that of the field itself, or its path with points (`args.password`). Case does not count. */
  readonly keys?: ReadonlyArray<string> | undefined
  /** Values that are masked wherever they are a field's whole value. */
  readonly values?: ReadonlyArray<string> | undefined
  /** The lowest level that is written. */
  readonly level?: LogLevel.LogLevel | undefined
  /** Drops the lines for which it is true. It sees them masked. What it throws drops nothing. */
  readonly drop?: ((line: Decorate.Line, fields: Readonly<Record<string, unknown>>) => boolean) | undefined
}

export const MASK = "***"

/** How deep objects are looked into; what is deeper is masked as a whole. */
const DEPTH = 8

/** A filter in front of the loggers that are there. */
export const layer = (options: Options): Layer.Layer<never> => Decorate.layer(make(options))

/** The line as the filter leaves it; undefined when it is dropped. */
export const make = ({ drop, keys = [], level, values = [] }: Options): ((line: Decorate.Line) => Decorate.Line | undefined) => {
  const hidden = new Set(keys.map((key) => key.toLowerCase()))
  const secret = new Set(values)
  const mask = (value: unknown, path: string, depth: number): unknown => {
    if (typeof value === "string") return secret.has(value) ? MASK : value
    if (typeof value !== "object" || value === null) return value
    if (!Array.isArray(value) && !isPlain(value)) return value
    if (depth >= DEPTH) return MASK
    if (Array.isArray(value)) return value.map((item) => mask(item, path, depth + 1))
    const masked: Record<string, unknown> = {}
    for (const [key, inner] of Object.entries(value)) {
      const at = path === "" ? key.toLowerCase() : `${path}.${key.toLowerCase()}`
      masked[key] = hidden.has(key.toLowerCase()) || hidden.has(at) ? MASK : mask(inner, at, depth + 1)
    }
    return masked
  }
  const masks = hidden.size > 0 || secret.size > 0
  return (line) => {
    if (level !== undefined && LogLevel.isGreaterThan(level, line.logLevel)) return undefined
    const fields = masks
      ? (mask(Decorate.annotations(line), "", 0) as Readonly<Record<string, unknown>>) // a record of a record
      : Decorate.annotations(line)
    const next = masks ? Decorate.withAnnotations({ ...line, message: mask(line.message, "", 0) }, fields) : line
    if (drop === undefined) return next
    try {
      return drop(next, fields) ? undefined : next
    } catch {
      return next
    }
  }
}

/** Objects of classes print themselves, `Redacted` among them. */
const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
