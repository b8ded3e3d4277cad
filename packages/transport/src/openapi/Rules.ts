/**
 * Protovalidate's rules of a field as keywords of JSON Schema. A keyword never says more than its rule; what has no keyword is said in words:
 * bounds of 64-bit integers (strings in JSON), CEL, and rules about the time at which they are checked.
 */
import { ScalarType, type DescEnum, type DescField, type DescMessage } from "@bufbuild/protobuf"
import { reflect } from "@bufbuild/protobuf/reflect"
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt"
import { Ignore, FieldRulesSchema, type FieldRules, type Rule } from "../gen/buf/validate/validate_pb.ts"
import type { Json, Schema } from "./JsonSchema.ts"
import * as Strings from "./StringRules.ts"

export interface Applied {
  readonly schema: Schema
  /** The message is not valid without the field. */
  readonly isRequired: boolean
  /** What no keyword says. */
  readonly notes: ReadonlyArray<string>
}

/** The rules that are set, by name, the members of oneofs among them; values as protobuf-es reflects them. */
export type Facts = ReadonlyMap<string, unknown>

/** Applies `rules` to the schema of `field`. */
export const apply = (field: DescField, schema: Schema, rules: FieldRules): Applied => {
  if (rules.ignore === Ignore.ALWAYS) return { schema, isRequired: false, notes: [] }
  const { notes, schema: ruled } = value(field, schema, rules)
  const isImplicit = field.presence === FeatureSet_FieldPresence.IMPLICIT || field.fieldKind === "list" || field.fieldKind === "map"
  if (rules.required) {
    // without presence, "set" means: not the zero value
    return { schema: isImplicit ? { ...ruled, ...nonZero(field, ruled) } : ruled, isRequired: true, notes }
  }
  const zero = zeroOf(field)
  if (zero === undefined || accepts(ruled, zero)) return { schema: ruled, isRequired: false, notes }
  if (rules.ignore === Ignore.IF_ZERO_VALUE) return { schema: { anyOf: [{ const: zero }, ruled] }, isRequired: false, notes }
  return { schema: ruled, isRequired: isImplicit, notes }
}

/** The texts of rules in CEL. */
export const celNotes = (rules: {
  readonly cel: ReadonlyArray<Rule>
  readonly celExpression: ReadonlyArray<string>
}): ReadonlyArray<string> => [
  ...rules.cel.map((rule) => (rule.message === "" ? `Must hold: \`${rule.expression}\`` : `Must hold: ${rule.message}`)),
  ...rules.celExpression.map((expression) => `Must hold: \`${expression}\``)
]

interface Ruled {
  readonly schema: Schema
  readonly notes: ReadonlyArray<string>
}

const value = (field: DescField | Item, schema: Schema, rules: FieldRules): Ruled => {
  const cel = celNotes(rules)
  const name = rules.type.case
  const desc = name === undefined ? undefined : FieldRulesSchema.fields.find((one) => one.localName === name)?.message
  if (desc === undefined || rules.type.value === undefined) return { schema, notes: cel }
  const facts = factsOf(desc, rules.type.value)
  const done = ((): Ruled => {
    switch (rules.type.case) {
      case "string":
        return Strings.apply(schema, facts)
      case "bytes":
        return Strings.applyBytes(schema, facts)
      case "bool":
        return { schema: { ...schema, ...constant(facts, (one) => one as boolean) }, notes: [] }
      case "enum":
        return { schema: field.enum === undefined ? schema : enumeration(field.enum, schema, facts), notes: [] }
      case "repeated":
        return repeated(field, schema, facts, rules.type.value.items)
      case "map":
        return mapped(field, schema, facts, rules.type.value.keys, rules.type.value.values)
      case "any":
        return { schema: anyTypes(schema, facts), notes: [] }
      case "duration":
      case "timestamp":
      case "fieldMask":
        return { schema, notes: words(facts) }
      case "int64":
      case "uint64":
      case "sint64":
      case "fixed64":
      case "sfixed64":
        return { schema: { ...schema, ...constant(facts, String), ...members(facts, String) }, notes: bounds(facts) }
      case "float":
      case "double":
        return { schema: floating(schema, facts), notes: [] }
      default:
        return { schema: { ...schema, ...constant(facts, Number), ...members(facts, Number), ...numeric(facts) }, notes: [] }
    }
  })()
  return { schema: done.schema, notes: [...done.notes, ...cel] }
}

/** An item of a list, or a value or key of a map. */
interface Item {
  readonly enum?: DescEnum | undefined
}

const factsOf = (desc: DescMessage, message: object): Facts => {
  // the message of this descriptor's field, by construction
  const reflected = reflect(desc, message as never)
  const facts = new Map<string, unknown>()
  for (const field of reflected.fields) {
    if (!reflected.isSet(field)) continue
    const found = reflected.get(field)
    facts.set(field.localName, field.fieldKind === "list" ? [...(found as Iterable<unknown>)] : found)
  }
  return facts
}

const constant = (facts: Facts, json: (value: unknown) => Json): Schema => (facts.has("const") ? { const: json(facts.get("const")) } : {})

const members = (facts: Facts, json: (value: unknown) => Json): Schema => ({
  ...(facts.has("in") ? { enum: list(facts, "in").map(json) } : {}),
  ...(facts.has("notIn") ? { not: { enum: list(facts, "notIn").map(json) } } : {})
})

const list = (facts: Facts, name: string): ReadonlyArray<unknown> => (facts.get(name) ?? []) as ReadonlyArray<unknown>

const numeric = (facts: Facts): Schema => {
  const above: Schema = {
    ...(facts.has("gt") ? { exclusiveMinimum: Number(facts.get("gt")) } : {}),
    ...(facts.has("gte") ? { minimum: Number(facts.get("gte")) } : {})
  }
  const below: Schema = {
    ...(facts.has("lt") ? { exclusiveMaximum: Number(facts.get("lt")) } : {}),
    ...(facts.has("lte") ? { maximum: Number(facts.get("lte")) } : {})
  }
  const [low, high] = [facts.get("gt") ?? facts.get("gte"), facts.get("lt") ?? facts.get("lte")]
  // bounds that cross mean: outside of them
  if (low !== undefined && high !== undefined && Number(low) > Number(high)) return { anyOf: [above, below] }
  return { ...above, ...below }
}

const floating = (schema: Schema, facts: Facts): Schema => {
  const [number, words] = schema["anyOf"] as readonly [Schema, Schema]
  const limits = numeric(facts)
  const isLow = facts.has("gt") || facts.has("gte")
  const isHigh = facts.has("lt") || facts.has("lte")
  const ruled: Schema = { ...number, ...limits, ...constant(facts, Number), ...members(facts, Number) }
  if (facts.get("finite") === true || facts.has("const") || facts.has("in")) return ruled
  // what is not a number passes no comparison
  const left =
    isLow && isHigh ? ("anyOf" in limits ? ["Infinity", "-Infinity"] : []) : isLow ? ["Infinity"] : isHigh ? ["-Infinity"] : undefined
  if (left === undefined) return { anyOf: [ruled, words] }
  return left.length === 0 ? ruled : { anyOf: [ruled, { type: "string", enum: left }] }
}

const bounds = (facts: Facts): ReadonlyArray<string> => {
  const texts = [
    ["gt", "more than"],
    ["gte", "at least"],
    ["lt", "less than"],
    ["lte", "at most"]
  ] as const
  const found = texts.filter(([name]) => facts.has(name)).map(([name, text]) => `${text} ${String(facts.get(name))}`)
  return found.length === 0 ? [] : [`Must be ${found.join(" and ")}.`]
}

const words = (facts: Facts): ReadonlyArray<string> => {
  if (facts.get("ltNow") === true) return ["Must be in the past."]
  return facts.get("gtNow") === true ? ["Must be in the future."] : []
}

const enumeration = (desc: DescEnum, schema: Schema, facts: Facts): Schema => {
  const only = facts.has("const") ? [facts.get("const")] : facts.has("in") ? list(facts, "in") : undefined
  const never = list(facts, "notIn")
  if (only === undefined && never.length === 0) return schema
  const values = desc.values.filter(({ number }) => (only === undefined || only.includes(number)) && !never.includes(number))
  return { type: "string", enum: values.map(({ name }) => name) }
}

const count = (facts: Facts, name: string, keyword: string): Schema => (facts.has(name) ? { [keyword]: Number(facts.get(name)) } : {})

const repeated = (field: Item, schema: Schema, facts: Facts, items: FieldRules | undefined): Ruled => {
  const counts: Schema = {
    ...count(facts, "minItems", "minItems"),
    ...count(facts, "maxItems", "maxItems"),
    ...(facts.get("unique") === true ? { uniqueItems: true } : {})
  }
  if (items === undefined || items.ignore === Ignore.ALWAYS) return { schema: { ...schema, ...counts }, notes: [] }
  const item = value({ enum: field.enum }, schema["items"] as Schema, items)
  return { schema: { ...schema, ...counts, items: item.schema }, notes: item.notes.map((note) => `Each item: ${note}`) }
}

const mapped = (field: Item, schema: Schema, facts: Facts, keys: FieldRules | undefined, values: FieldRules | undefined): Ruled => {
  const counts: Schema = { ...count(facts, "minPairs", "minProperties"), ...count(facts, "maxPairs", "maxProperties") }
  const names = (schema["propertyNames"] ?? {}) as Schema
  // only text has keywords that hold for a property's name
  const key = keys?.type.case === "string" ? value({}, names, keys) : undefined
  const one = values === undefined ? undefined : value({ enum: field.enum }, schema["additionalProperties"] as Schema, values)
  return {
    schema: {
      ...schema,
      ...counts,
      ...(key === undefined ? {} : { propertyNames: key.schema }),
      ...(one === undefined ? {} : { additionalProperties: one.schema })
    },
    notes: [...(key?.notes ?? []).map((note) => `Each key: ${note}`), ...(one?.notes ?? []).map((note) => `Each value: ${note}`)]
  }
}

const anyTypes = (schema: Schema, facts: Facts): Schema => {
  const types: Schema = members(facts, (name) => String(name))
  return Object.keys(types).length === 0 ? schema : { ...schema, properties: { "@type": { type: "string", ...types } } }
}

/** The JSON of a field that holds nothing; undefined where there is no such thing. */
const zeroOf = (field: DescField): Json | undefined => {
  if (field.fieldKind === "list") return []
  if (field.fieldKind === "map") return {}
  if (field.fieldKind === "message") return undefined
  if (field.fieldKind === "enum") return field.enum.values.find(({ number }) => number === 0)?.name
  switch (field.scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return ""
    case ScalarType.BOOL:
      return false
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return "0"
    default:
      return 0
  }
}

const nonZero = (field: DescField, schema: Schema): Schema => {
  const zero = zeroOf(field)
  if (zero === undefined || !accepts(schema, zero)) return {}
  if (field.fieldKind === "list") return { minItems: 1 }
  if (field.fieldKind === "map") return { minProperties: 1 }
  return zero === "" ? { minLength: 1 } : { not: { const: zero } }
}

/** Whether a value of no content passes the keywords that this module and `StringRules` write. */
const accepts = (schema: Schema, zero: Json): boolean => {
  const { allOf, anyOf, const: only, enum: among, exclusiveMaximum, exclusiveMinimum, format, maximum, minItems, minLength } = schema
  const { minProperties, minimum, not, pattern } = schema
  if (only !== undefined && only !== zero) return false
  if (Array.isArray(among) && !among.includes(zero)) return false
  if (not !== undefined && accepts(not as Schema, zero)) return false
  if (Array.isArray(anyOf) && !anyOf.some((one) => accepts(one as Schema, zero))) return false
  if (Array.isArray(allOf) && !allOf.every((one) => accepts(one as Schema, zero))) return false
  if (zero === "") {
    if (typeof minLength === "number" && minLength > 0) return false
    if (typeof pattern === "string" && !new RegExp(pattern, "u").test("")) return false
    return format === undefined || !Strings.needsText.has(String(format))
  }
  if (typeof zero === "number") {
    if ((typeof minimum === "number" && minimum > 0) || (typeof maximum === "number" && maximum < 0)) return false
    return !(
      (typeof exclusiveMinimum === "number" && exclusiveMinimum >= 0) ||
      (typeof exclusiveMaximum === "number" && exclusiveMaximum <= 0)
    )
  }
  return !((Array.isArray(zero) && Number(minItems ?? 0) > 0) || (typeof zero === "object" && Number(minProperties ?? 0) > 0))
}
