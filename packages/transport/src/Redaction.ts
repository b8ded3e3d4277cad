/**
 * What of request messages may go into the log, by the contract: for `Logging.makeServer({ redact: Redaction.make([Users], { fields: [...] }) })`.
 *
 * Only the fields that are named are shown. One that the contract marks with `debug_redact` is never shown, nor is anything below it. What is shown is cut to a
 * size that logs can bear, so that the caller does not decide how long a line is.
 */
import type { DescField, DescMessage } from "@bufbuild/protobuf"
import type { CallShape } from "@effect-kratos/core/Call"
import type * as Service from "./Service.ts"

export interface Options {
  /**
   * The fields that may be shown, by their name in the contract, from the request on: `user.id`. A message that is named is shown with all its fields;
   * `"all"` shows every one that is not marked.
   */
  readonly fields: ReadonlyArray<string> | "all"
  /** Longest text that is shown in full, in UTF-16 units. Default 256. */
  readonly maxText?: number | undefined
  /** How many items of a list or map are shown. Default 16. */
  readonly maxItems?: number | undefined
}

/** What stands in the place of a marked field. */
export const REDACTED = "<redacted>"

/** How deep messages are shown. */
const DEPTH = 8

/** A function for `redact` of the Logging aspect; it shows nothing of calls of other services. */
export const make = (
  services: ReadonlyArray<Pick<Service.Any, "descriptor">>,
  options: Options
): ((message: unknown, call: CallShape) => unknown) => {
  const { fields, maxItems = 16, maxText = 256 } = options
  const inputs = new Map<string, DescMessage>()
  for (const { descriptor } of services) {
    for (const method of descriptor.methods) inputs.set(`/${descriptor.typeName}/${method.name}`, method.input)
  }
  const allowed = fields === "all" ? undefined : new Set(fields)
  // `user` has to be entered when `user.id` may be shown
  const entered = new Set(allowed === undefined ? [] : [...allowed].flatMap((path) => ancestors(path)))

  const show = (desc: DescMessage, message: unknown, path: string, all: boolean, depth: number): unknown => {
    if (typeof message !== "object" || message === null) return undefined
    if (depth >= DEPTH) return "…"
    const shown: Record<string, unknown> = {}
    for (const field of desc.fields) {
      const at = path === "" ? field.name : `${path}.${field.name}`
      const whole = all || allowed?.has(at) === true
      if (!whole && !entered.has(at)) continue
      // messages of a server are decoded, those of a client are initialisers; both have their fields by these names
      const value = valueOf(field, message as Readonly<Record<string, unknown>>)
      if (value === undefined || value === null) continue
      shown[field.name] = field.proto.options?.debugRedact === true ? REDACTED : each(field, value, at, whole, depth)
    }
    return shown
  }
  const each = (field: DescField, value: unknown, path: string, all: boolean, depth: number): unknown => {
    if (field.fieldKind === "list") {
      if (!Array.isArray(value)) return undefined
      const items = value.slice(0, maxItems).map((item: unknown) => one(field.message, item, path, all, depth))
      return value.length > maxItems ? [...items, `… ${value.length - maxItems} more`] : items
    }
    if (field.fieldKind === "map") {
      const entries = Object.entries(value as object) // by its kind
      const items = entries.slice(0, maxItems).map(([key, item]) => [text(key), one(field.message, item, path, all, depth)] as const)
      return { ...Object.fromEntries(items), ...(entries.length > maxItems ? { "…": `${entries.length - maxItems} more` } : undefined) }
    }
    return one(field.message, value, path, all, depth)
  }
  const one = (desc: DescMessage | undefined, value: unknown, path: string, all: boolean, depth: number): unknown => {
    if (desc !== undefined) {
      // what is packed may be of any contract, and marked there
      if (desc.typeName === "google.protobuf.Any") return `<${text(String((value as { readonly typeUrl?: unknown }).typeUrl ?? "Any"))}>`
      return show(desc, value, path, all, depth + 1)
    }
    if (typeof value === "string") return text(value)
    if (typeof value === "bigint") return value.toString()
    return value instanceof Uint8Array ? `<${value.length} bytes>` : value
  }
  const text = (value: string): string => (value.length > maxText ? `${value.slice(0, maxText)}… ${value.length - maxText} more` : value)

  return (message, call) => {
    const input = inputs.get(call.operation)
    return input === undefined || message === undefined ? undefined : show(input, message, "", fields === "all", 0)
  }
}

const ancestors = (path: string): ReadonlyArray<string> => {
  const names = path.split(".")
  return names.map((_, i) => names.slice(0, i + 1).join("."))
}

const valueOf = (field: DescField, message: Readonly<Record<string, unknown>>): unknown => {
  if (field.oneof === undefined) return message[field.localName]
  const chosen = message[field.oneof.localName] as { readonly case?: unknown; readonly value?: unknown } | undefined // as protobuf-es has oneofs
  return chosen?.case === field.localName ? chosen.value : undefined
}
