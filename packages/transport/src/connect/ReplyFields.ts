/** The metadata of a Connect reply: its header fields less those of the protocol; unary replies have their trailers among them, under a prefix. */
import * as Metadata from "@effect-kratos/core/Metadata"
import * as RequestFields from "./RequestFields.ts"

const PREFIX = "trailer-"

export interface Split {
  readonly header: Metadata.MutableMetadata
  readonly trailers: Metadata.MutableMetadata
}

export const split = (fields: ReadonlyArray<string>): Split => {
  const header = RequestFields.toMetadata(fields)
  const trailers = Metadata.make()
  for (const [name, values] of header) {
    if (!name.startsWith(PREFIX)) continue
    header.delete(name)
    trailers.set(name.slice(PREFIX.length), values)
  }
  return { header, trailers }
}
