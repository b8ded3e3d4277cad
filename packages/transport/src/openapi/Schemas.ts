/**
 * Messages and enums as JSON Schema, in the form that protobuf's JSON mapping gives them on our wire. Each type is one definition, made when it is
 * first referred to, so that messages may contain themselves.
 *
 * Properties have their JSON names; input may use proto names as well, which is not said. Nothing is closed: unknown properties are skipped.
 */
import { getOption, hasOption, type DescEnum, type DescField, type DescMessage, type DescOneof } from "@bufbuild/protobuf"
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt"
import type { Comments } from "../Comments.ts"
import * as Validate from "../gen/buf/validate/validate_pb.ts"
import * as JsonWriter from "../codec/JsonWriter.ts"
import { FieldBehavior, field_behavior } from "../gen/google/api/field_behavior_pb.ts"
import * as JsonSchema from "./JsonSchema.ts"
import type { Json, Schema } from "./JsonSchema.ts"
import * as Rules from "./Rules.ts"

export interface Options {
  /** What stands before the name of a definition: `#/components/schemas/`. */
  readonly prefix: string
  readonly comments: Comments
  /** Write rules and field behaviour as keywords. Off for what a server sends: it checks what it gets. Default true. */
  readonly rules?: boolean | undefined
  /** Leave out what only the server writes. Default false. */
  readonly inputOnly?: boolean | undefined
  /** Say that unset messages may be null, as they are in replies of REST. Default false. */
  readonly nulls?: boolean | undefined
}

/** Paths of proto names, relative to a message. */
export type Paths = ReadonlyArray<ReadonlyArray<string>>

export interface Schemas {
  /** A reference to a message, or its own shape where JSON gives it one. Without the fields at `except` it is an object of its own. */
  readonly message: (desc: DescMessage, except?: Paths) => Schema
  /** A field's value, with what is said of the field. */
  readonly field: (field: DescField, except?: Paths) => FieldSchema
  /** All that was referred to so far, by name. */
  readonly definitions: ReadonlyMap<string, Schema>
}

export interface FieldSchema {
  readonly schema: Schema
  readonly isRequired: boolean
}

export const make = ({ comments, inputOnly = false, nulls = false, prefix, rules = true }: Options): Schemas => {
  const definitions = new Map<string, Schema>()
  const refer = (desc: DescMessage | DescEnum, define: () => Schema): Schema => {
    if (!definitions.has(desc.typeName)) {
      // taken first: what it contains may refer to it
      definitions.set(desc.typeName, {})
      definitions.set(desc.typeName, define())
    }
    return { $ref: prefix + desc.typeName }
  }

  const message: Schemas["message"] = (desc, except = []) => {
    const own = JsonSchema.wellKnown(desc)
    if (own !== undefined) return own
    return except.length === 0 ? refer(desc, () => object(desc, except)) : object(desc, except)
  }

  const object = (desc: DescMessage, except: Paths): Schema => {
    const properties: Record<string, Json> = {}
    const required: Array<string> = []
    for (const field of desc.fields) {
      const here = except.filter((path) => path[0] === field.name)
      if (here.some((path) => path.length === 1) || (inputOnly && isOutput(field))) continue
      const one = fieldSchema(
        field,
        here.map((path) => path.slice(1))
      )
      properties[field.jsonName] = nulls && !one.isRequired && JsonWriter.saysNull(field) ? JsonSchema.orNull(one.schema) : one.schema
      if (one.isRequired) required.push(field.jsonName)
    }
    const messageRules = rules && hasOption(desc, Validate.message) ? getOption(desc, Validate.message) : undefined
    const schema: Schema = {
      type: "object",
      properties,
      ...(required.length === 0 ? {} : { required }),
      ...oneofs(desc, properties),
      ...(desc.deprecated ? { deprecated: true } : {})
    }
    return JsonSchema.describe(schema, comments[desc.typeName], ...(messageRules === undefined ? [] : Rules.celNotes(messageRules)))
  }

  /** At most one member of a oneof, exactly one when it is required. */
  const oneofs = (desc: DescMessage, properties: Record<string, Json>): Schema => {
    const dependent: Record<string, Json> = {}
    const all: Array<Schema> = []
    for (const oneof of desc.oneofs) {
      const names = oneof.fields.map((field) => field.jsonName).filter((name) => name in properties)
      names.forEach((name, index) => {
        const others = names.slice(index + 1).map((other) => ({ required: [other] }))
        if (others.length > 0) dependent[name] = { not: { anyOf: others } }
      })
      if (names.length > 0 && rules && isRequired(oneof)) all.push({ anyOf: names.map((name) => ({ required: [name] })) })
    }
    return {
      ...(Object.keys(dependent).length === 0 ? {} : { dependentSchemas: dependent }),
      ...(all.length === 0 ? {} : { allOf: all })
    }
  }

  const fieldSchema: Schemas["field"] = (field, except = []) => {
    const shape = shapeOf(field, except)
    const applied =
      rules && hasOption(field, Validate.field)
        ? Rules.apply(field, shape, getOption(field, Validate.field))
        : { schema: shape, isRequired: false, notes: [] }
    const behaviours = rules ? getOption(field, field_behavior) : []
    const has = (behaviour: FieldBehavior): boolean => behaviours.includes(behaviour)
    const schema: Schema = {
      ...applied.schema,
      ...(has(FieldBehavior.OUTPUT_ONLY) ? { readOnly: true } : {}),
      ...(has(FieldBehavior.INPUT_ONLY) ? { writeOnly: true } : {}),
      ...(field.deprecated ? { deprecated: true } : {})
    }
    return {
      schema: JsonSchema.describe(
        schema,
        comments[`${field.parent.typeName}.${field.name}`],
        field.oneof === undefined ? undefined : oneofText(field.oneof, comments),
        has(FieldBehavior.IMMUTABLE) ? "Cannot be changed." : undefined,
        ...applied.notes
      ),
      // what the server alone writes is not asked of a caller
      isRequired:
        rules &&
        !has(FieldBehavior.OUTPUT_ONLY) &&
        (applied.isRequired || has(FieldBehavior.REQUIRED) || field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED)
    }
  }

  const shapeOf = (field: DescField, except: Paths): Schema => {
    if (field.fieldKind === "list") return { type: "array", items: valueOf(field, except) }
    if (field.fieldKind === "map") {
      const key = JsonSchema.mapKey(field.mapKey)
      return {
        type: "object",
        additionalProperties: valueOf(field, except),
        ...(key === undefined ? {} : { propertyNames: key })
      }
    }
    return valueOf(field, except)
  }

  const valueOf = (field: DescField, except: Paths): Schema => {
    if (field.message !== undefined) return message(field.message, except)
    if (field.enum !== undefined) return enumeration(field.enum)
    return JsonSchema.scalar(field.scalar!)
  }

  const enumeration = (desc: DescEnum): Schema => {
    if (desc.typeName === "google.protobuf.NullValue") return { type: "null" }
    return refer(desc, () => {
      const scope = desc.typeName.slice(0, desc.typeName.length - desc.name.length)
      const values = desc.values.map(({ name }) => [name, comments[scope + name]] as const).filter(([, text]) => text !== undefined)
      return JsonSchema.describe(
        { type: "string", enum: desc.values.map(({ name }) => name), ...(desc.deprecated ? { deprecated: true } : {}) },
        comments[desc.typeName],
        values.map(([name, text]) => `- \`${name}\`: ${text!.replaceAll("\n", " ")}`).join("\n")
      )
    })
  }

  return { message, field: fieldSchema, definitions }
}

const isOutput = (field: DescField): boolean => getOption(field, field_behavior).includes(FieldBehavior.OUTPUT_ONLY)

const isRequired = (oneof: DescOneof): boolean => hasOption(oneof, Validate.oneof) && getOption(oneof, Validate.oneof).required

const oneofText = (oneof: DescOneof, comments: Comments): string => {
  const text = comments[`${oneof.parent.typeName}.${oneof.name}`]
  return `One of the choices of \`${oneof.name}\`${text === undefined ? "." : `: ${text}`}`
}
