/** `application/x-www-form-urlencoded`, for bodies of HTML forms and by the same rules for queries (see `FormReader`, `FormWriter`). */
import { create, type DescMessage, type Message } from "@bufbuild/protobuf"
import * as Codec from "./Codec.ts"
import * as FormReader from "./FormReader.ts"
import * as FormWriter from "./FormWriter.ts"
import * as Utf8 from "./Utf8.ts"

export const make = (): Codec.Codec => {
  const writer = FormWriter.make()
  const readers = new WeakMap<DescMessage, FormReader.FormReader>()
  const reader = (schema: DescMessage): FormReader.FormReader => {
    let read = readers.get(schema)
    if (read === undefined) readers.set(schema, (read = FormReader.compile(schema)))
    return read
  }
  const contentType = "application/x-www-form-urlencoded"
  return {
    name: "x-www-form-urlencoded",
    contentType,
    contentTypes: [contentType],
    encode: (schema, message) => Codec.encoding(() => Utf8.encode(writer(schema)(message))),
    decode: (schema, bytes) =>
      Codec.decoding("body unmarshal form", () => {
        const text = Utf8.decode(bytes)
        if (text === undefined) throw new Error("not UTF-8")
        // `curl -d` says form unless told: its JSON would be one key that nobody knows, and nothing would be set
        if (/^\s*[[{]/.test(text)) throw new Error('it looks like JSON; say "content-type: application/json"')
        const message = create(schema)
        reader(schema)(message as Message, text.trimEnd())
        return message
      })
  }
}

export const codec: Codec.Codec = make()
