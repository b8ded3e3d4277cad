/**
 * protobuf-JSON. Replies have all fields, also unset ones (Kratos' EmitUnpopulated), camelCase names, 64-bit integers as strings; input may use either name
 * of a field, numbers or strings, and fields that nobody knows are skipped unless told otherwise. A field or a key of a map that is there twice is an
 * error: two readers that disagree on which one counts are an old way around checks.
 */
import { type DescField, type Message, type Registry } from "@bufbuild/protobuf"
import * as AnyTypes from "./AnyTypes.ts"
import * as Codec from "./Codec.ts"
import * as JsonReader from "./JsonReader.ts"
import * as JsonWriter from "./JsonWriter.ts"
import * as StdJson from "./StdJson.ts"
import * as Utf8 from "./Utf8.ts"

export interface Options {
  /** Label of replies. Default `json`. */
  readonly name?: "json" | "protojson" | undefined
  /**
   * What is written of fields that hold nothing: scalars, enums, lists and maps, and unset messages as null (`all`, as Kratos has it), the same
   * without the messages (`implicit`), or nothing (`none`). Members of a oneof, `optional` fields and a `google.protobuf.Value`, of which null is a value,
   * are never written unset. Default `all`.
   */
  readonly unset?: "all" | "implicit" | "none" | undefined
  /** Writes `user_id`, not `userId`; both are read. Default false. */
  readonly protoNames?: boolean | undefined
  /** Writes enum values as numbers, not names; both are read. Default false. */
  readonly enumNumbers?: boolean | undefined
  /** Skips input fields and names of enum values that the contract does not have. Default true. */
  readonly ignoreUnknown?: boolean | undefined
  /** What `google.protobuf.Any` may hold. Default the messages of the contract's file and its imports, and the well-known types. */
  readonly registry?: Registry | undefined
}

/** Nesting of input ends here. */
const maxDepth = 100

export const make = (options: Options = {}): Codec.Codec => {
  const { enumNumbers, ignoreUnknown = true, name = "json", protoNames, registry, unset = "all" } = options
  const registryOf = registry === undefined ? AnyTypes.of : () => registry
  const writer = JsonWriter.make({ unset, protoNames, enumNumbers, registryOf })
  const reader = JsonReader.make({ ignoreUnknown, maxDepth, registryOf })
  const what = "body unmarshal json"
  return {
    name,
    contentType: `application/${name}`,
    contentTypes: name === "json" ? ["application/json", "text/json"] : ["application/protojson"],
    encode: (schema, message) => Codec.encoding(() => Utf8.encode(writer.message(schema)(message))),
    decode: (schema, bytes) =>
      // a reader makes messages of the schema that it is given
      Codec.decoding(what, () => reader.message(schema, Utf8.decodeText(bytes)) as never),
    field: {
      encode: (field, message) => Codec.encoding(() => Utf8.encode(writer.field(field)(message))),
      decode: (field, message, bytes) => Codec.decoding(what, () => move(field, reader.field(field, Utf8.decodeText(bytes)), message))
    }
  }
}

/** `application/json`. */
export const json: Codec.Codec = make()

/** The same under the name that Kratos v3 asks for. */
export const protojson: Codec.Codec = make({ name: "protojson" })

/** `application/json` as Go's standard library has it: the dialect of Kratos v3 (see `StdJson`). */
export const std: Codec.Codec = StdJson.codec

const move = (field: DescField, from: Message, to: Message): void => {
  const member = (field.oneof ?? field).localName
  // messages are records of their members
  ;(to as unknown as Record<string, unknown>)[member] = (from as unknown as Record<string, unknown>)[member]
}
