/** Protovalidate's rules of strings and bytes as keywords of JSON Schema. */
import { Buffer } from "node:buffer"
import type { Json, Schema } from "./JsonSchema.ts"

type Facts = ReadonlyMap<string, unknown>

interface Ruled {
  readonly schema: Schema
  readonly notes: ReadonlyArray<string>
}

/** Formats that no empty text has. */
export const needsText: ReadonlySet<string> = new Set(["email", "hostname", "ipv4", "ipv6", "uri", "uuid"])

export const apply = (schema: Schema, facts: Facts): Ruled => {
  const number = (name: string): number | undefined => (facts.has(name) ? Number(facts.get(name)) : undefined)
  const min = number("len") ?? number("minLen")
  // a character takes at least one byte
  const max = number("len") ?? number("maxLen") ?? number("lenBytes") ?? number("maxBytes")
  const patterns = [
    facts.has("prefix") ? `^${escape(String(facts.get("prefix")))}` : undefined,
    facts.has("suffix") ? `${escape(String(facts.get("suffix")))}$` : undefined,
    facts.has("contains") ? escape(String(facts.get("contains"))) : undefined,
    facts.has("pattern") ? translatable(String(facts.get("pattern"))) : undefined,
    ...wellKnownPatterns(facts)
  ].filter((pattern) => pattern !== undefined)
  const never: ReadonlyArray<Schema> = [
    ...(facts.has("notContains") ? [{ pattern: escape(String(facts.get("notContains"))) }] : []),
    ...(facts.has("notIn") ? [{ enum: facts.get("notIn") as ReadonlyArray<string> }] : [])
  ]
  const [pattern, ...others] = patterns
  const also: ReadonlyArray<Schema> = [...others.map((other) => ({ pattern: other })), ...alternatives(facts)]
  const notes = [
    ...(facts.has("pattern") && translatable(String(facts.get("pattern"))) === undefined
      ? [`Must match the regular expression \`${String(facts.get("pattern"))}\` (RE2).`]
      : []),
    ...(facts.has("minBytes") ? [`Must have at least ${String(facts.get("minBytes"))} bytes.`] : []),
    ...Object.entries(spoken)
      .filter(([name]) => facts.get(name) === true)
      .map(([, text]) => text)
  ]
  return {
    schema: {
      ...schema,
      ...(facts.has("const") ? { const: String(facts.get("const")) } : {}),
      ...(facts.has("in") ? { enum: facts.get("in") as ReadonlyArray<string> } : {}),
      ...(min === undefined ? {} : { minLength: min }),
      ...(max === undefined ? {} : { maxLength: max }),
      ...(pattern === undefined ? {} : { pattern }),
      ...(also.length === 0 ? {} : { allOf: also }),
      ...(never.length === 0 ? {} : { not: never.length === 1 ? never[0]! : { anyOf: never } }),
      ...format(facts)
    },
    notes
  }
}

/** Bytes are base64 in JSON: four characters for three bytes, with or without padding. */
export const applyBytes = (schema: Schema, facts: Facts): Ruled => {
  const number = (name: string): number | undefined => (facts.has(name) ? Number(facts.get(name)) : undefined)
  const json = (bytes: unknown): Json => Buffer.from(bytes as Uint8Array).toString("base64")
  const min = number("len") ?? number("minLen")
  const max = number("len") ?? number("maxLen")
  return {
    schema: {
      ...schema,
      ...(facts.has("const") ? { const: json(facts.get("const")) } : {}),
      ...(facts.has("in") ? { enum: (facts.get("in") as ReadonlyArray<unknown>).map(json) } : {}),
      ...(min === undefined ? {} : { minLength: Math.ceil((min * 4) / 3) }),
      ...(max === undefined ? {} : { maxLength: Math.ceil(max / 3) * 4 })
    },
    notes: []
  }
}

const formats = { email: "email", hostname: "hostname", ipv4: "ipv4", ipv6: "ipv6", uri: "uri", uriRef: "uri-reference", uuid: "uuid" }

const format = (facts: Facts): Schema => {
  const found = Object.entries(formats).find(([name]) => facts.get(name) === true)
  return found === undefined ? {} : { format: found[1] }
}

const alternatives = (facts: Facts): ReadonlyArray<Schema> => {
  const ip = [{ format: "ipv4" }, { format: "ipv6" }]
  if (facts.get("ip") === true) return [{ anyOf: ip }]
  return facts.get("address") === true ? [{ anyOf: [{ format: "hostname" }, ...ip] }] : []
}

const wellKnownPatterns = (facts: Facts): ReadonlyArray<string> => [
  ...(facts.get("tuuid") === true ? ["^[0-9a-fA-F]{32}$"] : []),
  ...(facts.get("ulid") === true ? ["^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$"] : []),
  ...(facts.get("protobufFqn") === true ? [String.raw`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$`] : []),
  ...(facts.get("protobufDotFqn") === true ? [String.raw`^\.[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$`] : [])
]

const spoken: Readonly<Record<string, string>> = {
  ipWithPrefixlen: "Must be an IP address with the length of its prefix.",
  ipv4WithPrefixlen: "Must be an IPv4 address with the length of its prefix.",
  ipv6WithPrefixlen: "Must be an IPv6 address with the length of its prefix.",
  ipPrefix: "Must be an IP prefix.",
  ipv4Prefix: "Must be an IPv4 prefix.",
  ipv6Prefix: "Must be an IPv6 prefix.",
  hostAndPort: "Must be a host and a port."
}

/** RE2 and ECMA-262 share most of their syntax; `undefined` for what JavaScript does not read, or would read as something else. */
const translatable = (pattern: string): string | undefined => {
  if (/\(\?|\\[AzQECpPaZ]|\[\[:/.test(pattern)) return undefined
  try {
    new RegExp(pattern, "u").test("")
    return pattern
  } catch {
    return undefined
  }
}

const escape = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`)
