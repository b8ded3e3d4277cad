/**
 * Random messages that keep the rules of their contract: each field is drawn until Protovalidate has nothing against it, or is left out. A message
 * whose rules concern several fields is drawn again as a whole.
 */
import { create, type DescField, type DescMessage, type MessageShape, ScalarType } from "@bufbuild/protobuf"
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect"
import { createValidator } from "@bufbuild/protovalidate"
import { message as anyMessage, type Random, text } from "../codec/randomMessage.ts"

const validator = createValidator()

/** Draws per field, and per message. */
const tries = 12

/** Texts that rules ask for and chance does not find. */
const texts = ["", "a", "x-key", "x-ä", "new", "used", "9780000000019", "ada@b.example", "x".repeat(200)]

const violated = (schema: DescMessage, message: ReflectMessage["message"], field?: DescField): boolean => {
  const result = validator.validate(schema, message)
  if (result.kind === "error") throw result.error
  return result.kind === "invalid" && (field === undefined || result.violations.some((violation) => violation.field[0] === field))
}

export const validMessage = <D extends DescMessage>(schema: D, random: Random, depth = 0): MessageShape<D> => {
  for (let i = 0; i < tries; i++) {
    const message = create(schema)
    const view = reflect(schema, message)
    for (const field of schema.fields) draw(view, field, random, depth)
    if (!violated(schema, message)) return message
  }
  throw new Error(`no valid ${schema.typeName} was found`)
}

const draw = (view: ReflectMessage, field: DescField, random: Random, depth: number): void => {
  if (field.oneof !== undefined && view.oneofCase(field.oneof) !== undefined) return
  for (let i = 0; i < tries; i++) {
    if (random.below(4) > 0) fill(view, field, random, depth)
    if (!violated(view.desc, view.message, field)) return
    view.clear(field)
  }
}

const fill = (view: ReflectMessage, field: DescField, random: Random, depth: number): void => {
  if (field.message !== undefined && depth > 1) return
  if (field.message?.typeName.startsWith("google.") === true) view.set(field, foreign(field, random) as never)
  else if (field.fieldKind === "list") {
    for (let count = random.below(5); count > 0; count--) view.get(field).add(value(field, random, depth) as never)
  } else if (field.fieldKind === "map") {
    for (let count = random.below(3); count > 0; count--)
      view.get(field).set(random.pick(texts) + text(random), value(field, random, depth) as never)
  } else view.set(field, value(field, random, depth) as never)
}

/** A time, a mask: what is known of them belongs to the field that has them. */
const foreign = (field: DescField, random: Random): unknown => {
  for (;;) {
    const view = reflect(
      field.parent,
      anyMessage(field.parent, random, (candidate) => candidate === field)
    )
    if (view.isSet(field)) return view.get(field)
  }
}

const value = (field: DescField, random: Random, depth: number): unknown => {
  if (field.enum !== undefined) return random.pick(field.enum.values).number
  if (field.message !== undefined) return reflect(field.message, validMessage(field.message, random, depth + 1))
  switch (field.scalar) {
    case ScalarType.STRING:
      return random.below(2) === 0 ? random.pick(texts) : text(random)
    case ScalarType.BYTES:
      return Uint8Array.from({ length: random.below(5) }, () => random.below(256))
    case ScalarType.BOOL:
      return random.below(2) === 1
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return random.below(500) / 64
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return BigInt(random.below(1_000_000)) * 1_000_000_007n
    default:
      return random.pick([0, 1, random.below(100), random.below(20_000)])
  }
}
