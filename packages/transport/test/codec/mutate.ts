/** Inputs that no codec writes: documents of JSON with values and keys exchanged, forms with values of all kinds, and bytes out of place. */
import { ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf"
import type { Random } from "./randomMessage.ts"

/** Values of JSON as text, the ones where readers differ. */
const values: ReadonlyArray<string> = [
  "null",
  "true",
  "false",
  "0",
  "-0",
  "1",
  "-1",
  "1.0",
  "1.5",
  "1e2",
  "1e-2",
  "100e-2",
  "1E+2",
  "2147483647",
  "2147483648",
  "-2147483649",
  "4294967295",
  "4294967296",
  "9007199254740993",
  "9223372036854775807",
  "9223372036854775808",
  "-9223372036854775808",
  "18446744073709551615",
  "18446744073709551616",
  "1e19",
  "1e400",
  "-1e400",
  "3.5e38",
  "1e-400",
  "01",
  "+1",
  ".5",
  "1.",
  "NaN",
  "Infinity",
  '""',
  '" "',
  '"1"',
  '" 1"',
  '"1 "',
  '"-0"',
  '"1.0"',
  '"1.5"',
  '"1e2"',
  '"0x10"',
  '"+1"',
  '"9223372036854775807"',
  '"9223372036854775808"',
  '"18446744073709551615"',
  '"18446744073709551616"',
  '"NaN"',
  '"Infinity"',
  '"-Infinity"',
  '"inf"',
  '"true"',
  '"null"',
  '"COLOR_RED"',
  '"COLOR_PINK"',
  '"color_red"',
  '"SIZE_LARGE"',
  '"AQI="',
  '"AQI"',
  '"_-8="',
  '"_-8"',
  '"/+8="',
  '"A"',
  '"A Q I="',
  '"1970-01-01T00:00:00Z"',
  '"1970-01-01t00:00:00z"',
  '"1970-01-01T00:00:00.123456789Z"',
  '"1970-01-01T00:00:00.1234567891Z"',
  '"1970-01-01T00:00:00+01:00"',
  '"1970-01-01T00:00:00"',
  '"0000-01-01T00:00:00Z"',
  '"9999-12-31T23:59:59.999999999Z"',
  '"10000-01-01T00:00:00Z"',
  '"1970-02-30T00:00:00Z"',
  '"1970-01-01T24:00:00Z"',
  '"1970-01-01T23:59:60Z"',
  '"1s"',
  '"1.5s"',
  '"-1.5s"',
  '"1.0000000001s"',
  '"315576000000s"',
  '"315576000001s"',
  '"+1s"',
  '".5s"',
  '"1.s"',
  '"1m"',
  '"a,bC"',
  '"a_b"',
  '"a,,b"',
  '"\\ud800"',
  '"\\ud83d\\ude00"',
  '"\\u0000"',
  '"\\x"',
  '"\u0001"',
  "[]",
  "[null]",
  "[1]",
  '["a"]',
  "[[]]",
  "[1,]",
  "{}",
  '{"a":1}',
  '{"1":"a"}',
  '{"01":"a"}',
  '{"true":1}',
  '{"a":null}',
  '{"value":1}',
  '{"name":"n","number":5}',
  '{"seconds":1}',
  '{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}',
  '{"@type":"type.googleapis.com/google.protobuf.Empty","value":{}}',
  '{"@type":"type.googleapis.com/nothing.Known"}',
  '{"@type":"type.googleapis.com/test.v1.IdReply","id":"x","unknown":1}'
]

const goName = (field: DescField): string => field.name.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())

const keysOf = (field: DescField): ReadonlyArray<string> => [
  field.jsonName,
  field.jsonName,
  field.name,
  field.name,
  field.jsonName.toUpperCase(),
  goName(field),
  "unknown"
]

/** A document with one to three members, most of them of the message; each name is there once, unless `repeats`. */
export const json = (schema: DescMessage, random: Random, repeats = true): string => {
  const seen = new Set<unknown>()
  const members = Array.from({ length: 1 + random.below(3) }, () => {
    const field = random.pick(schema.fields)
    const value = random.pick(values)
    const key = random.pick(keysOf(field))
    const known = key === "unknown" ? key : field
    if (!repeats && seen.has(known)) return ""
    seen.add(known)
    const shaped =
      random.below(3) !== 0
        ? value
        : field.fieldKind === "map"
          ? `{"${random.pick(["a", "1", "true", "", "-1", "1.0"])}":${value}}`
          : `[${value}]`
    return `${JSON.stringify(key)}${random.pick([":", ":", ":", " : "])}${shaped}`
  })
  return `{${members.filter((member) => member !== "").join(random.pick([",", ",", ",\n"]))}}${random.below(40) === 0 ? "x" : ""}`
}

const texts: ReadonlyArray<string> = [
  ...values.filter((value) => !/[[{]/.test(value)).map((value) => value.replaceAll('"', "")),
  "t",
  "T",
  "TRUE",
  "tRUE",
  "1_000",
  "0x1p4",
  "1e5",
  "1.5h",
  "2m0.5s",
  "1h-1m",
  "100ms",
  "5us",
  "5µs",
  "+Inf",
  "-inf",
  "infinity",
  "nan",
  "{}",
  '{"a":[1,null]}',
  '{"a":1}x',
  "2",
  "-1",
  "00",
  "a,b",
  "aB,cD"
]

/** Where we take more than Kratos does, or what it takes by accident: these have tests of their own. */
const isOdd = (field: DescField, text: string): boolean => {
  const name = field.message?.typeName ?? ""
  if (field.scalar === ScalarType.BYTES || name.endsWith("BytesValue")) return true
  if (field.scalar === ScalarType.DOUBLE || field.scalar === ScalarType.FLOAT || /(?:Double|Float)Value$/.test(name))
    return /[x_]/.test(text)
  return text === "null" || (name.endsWith("Timestamp") && text.startsWith("0000")) || (name.endsWith("Duration") && text.length > 10)
}

/** A form with one to three pairs of different fields, in the shapes of keys that Kratos and we take alike. */
export const form = (schema: DescMessage, random: Random): string => {
  const seen = new Set<unknown>()
  const pairs = Array.from({ length: 1 + random.below(3) }, () => {
    const field = random.pick(schema.fields)
    if (seen.has(field.oneof ?? field)) return ""
    seen.add(field.oneof ?? field)
    let text = random.pick(texts)
    if (isOdd(field, text)) text = field.scalar === ScalarType.BYTES ? "AQI=" : "1"
    const pair = (key: string) => `${encodeURIComponent(key)}=${encodeURIComponent(text.toWellFormed())}`
    const name = random.pick([field.name, field.jsonName])
    if (random.below(20) === 0)
      return random.pick([pair("unknown"), pair("unknown.name"), pair("unknown[a]"), "unknown", encodeURIComponent(name)])
    const isMessage = field.message?.typeName.startsWith("test.") === true
    // Kratos makes a message for a key that then leads nowhere, which in a oneof is a choice
    if (isMessage && field.oneof !== undefined) return `${name}.name=x`
    switch (field.fieldKind) {
      case "list":
        return isMessage ? "" : pair(name + random.pick(["", "[]", "[0]", "[7]"]))
      case "map":
        return isMessage ? "" : pair(name + random.pick(["[a]", "[1]", ".1", ".a", "[true]", ".false", "[-1]", "[a b]", "[]"]))
      default:
        return isMessage ? pair(name + random.pick([".name", ".number", ".child.name", ".child.number", ".tags", ".unknown"])) : pair(name)
    }
  })
  return pairs.filter((pair) => pair !== "").join("&")
}

/** Some bytes gone, doubled, exchanged or out of a set that matters to parsers. */
export const bytes = (input: Uint8Array, random: Random): Uint8Array => {
  let output = [...input]
  for (let count = 1 + random.below(3); count > 0 && output.length > 0; count--) {
    const at = random.below(output.length)
    const length = 1 + random.below(4)
    switch (random.below(4)) {
      case 0:
        output.splice(at, length)
        break
      case 1:
        output.splice(at, 0, ...output.slice(at, at + length))
        break
      case 2:
        output.splice(at, 0, random.pick([...'"{}[],:\\ \n0-+e.&=%<>/'].map((character) => character.charCodeAt(0))))
        break
      default:
        output[at] = random.below(256)
    }
  }
  return Uint8Array.from(output)
}
