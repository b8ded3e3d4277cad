/**
 * How Go's generated code names a message and its fields (protoc-gen-go, "open" API). Codecs of Go that know nothing of protobuf see these structs: the
 * standard library's JSON and XML, YAML, MessagePack. The members of a oneof hide in a struct of their own behind a member that is named as the oneof.
 */
import type { DescField, DescMessage, DescOneof } from "@bufbuild/protobuf"

export interface Member {
  readonly goName: string
  readonly field: DescField
}

export interface Choice {
  /** Apart from fields, which have a kind, too. */
  readonly kind: "choice"
  readonly goName: string
  readonly oneof: DescOneof
  readonly members: ReadonlyArray<Member>
}

export interface GoStruct {
  /** `Wide_Nested` for a message inside of a message. */
  readonly name: string
  /** In Go's order: that of the declaration, a oneof where its first member is. */
  readonly members: ReadonlyArray<Member | Choice>
}

const known = new WeakMap<DescMessage, GoStruct>()

/** The struct of a message; worked out once. */
export const of = (schema: DescMessage): GoStruct => {
  let struct = known.get(schema)
  if (struct === undefined) known.set(schema, (struct = make(schema)))
  return struct
}

const make = (schema: DescMessage): GoStruct => {
  // names of methods are taken, each with its getter
  const used = new Set(["Reset", "String", "ProtoMessage", "Marshal", "Unmarshal", "ExtensionRangeArray", "ExtensionMap", "Descriptor"])
  const unique = (wanted: string, hasGetter: boolean): string => {
    const isUsed = (name: string): boolean => used.has(name) || (hasGetter && used.has(`Get${name}`))
    let name = wanted
    while (isUsed(name)) name += "_"
    used.add(name)
    if (hasGetter) used.add(`Get${name}`)
    return name
  }
  const members: Array<Member | Choice> = []
  const choices = new Map<DescOneof, Array<Member>>()
  for (const field of schema.fields) {
    const member: Member = { goName: unique(camelCase(field.name), true), field }
    if (field.oneof === undefined) {
      members.push(member)
      continue
    }
    const others = choices.get(field.oneof)
    if (others !== undefined) {
      others.push(member)
      continue
    }
    const list = [member]
    choices.set(field.oneof, list)
    members.push({ kind: "choice", goName: unique(camelCase(field.oneof.name), false), oneof: field.oneof, members: list })
  }
  return { name: typeName(schema), members }
}

export const isChoice = (member: Member | Choice): member is Choice => "oneof" in member

/** `user_id` is `UserId`, `int32_value` is `Int32Value`, `a_1` is `A_1`, `_x` is `XX`. */
const camelCase = (name: string): string =>
  (name.startsWith("_") ? "X" : "") +
  name
    .replace(/^_/, "")
    .replaceAll(/_?([a-z])([a-z]*)|[A-Z][a-z]*/g, (all, first?: string, rest?: string) =>
      first === undefined ? all : first.toUpperCase() + rest!
    )

const typeName = (schema: DescMessage): string => {
  const own = camelCase(schema.name)
  if (schema.parent === undefined) return own
  return typeName(schema.parent) + (/^[a-z]/.test(schema.name) ? "" : "_") + own
}
