/**
 * What a REST client says its messages are, which depends on the server's version of Kratos: v2 knows protobuf-JSON as `application/json`, v3 as
 * `application/protojson` (its `application/json` is another format), both read binary protobuf. We read all of them.
 */
import type { Codec } from "../codec/Codec.ts"
import * as Json from "../codec/Json.ts"
import * as Proto from "../codec/Proto.ts"

export type Dialect = "v3" | "v2" | "binary"

export const codecOf = (dialect: Dialect): Codec => {
  switch (dialect) {
    case "v3":
      return Json.protojson
    case "v2":
      return Json.json
    case "binary":
      return Proto.codec
  }
}

/** Server-sent events hold text. */
export const eventCodecOf = (dialect: Dialect): Codec => codecOf(dialect === "binary" ? "v3" : dialect)
