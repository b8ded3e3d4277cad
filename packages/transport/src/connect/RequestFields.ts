/** The metadata of a Connect request: its header fields, less those of the protocol. */
import * as HeaderFields from "../HeaderFields.ts"
import type * as Metadata from "@effect-kratos/core/Metadata"

const own = new Set(["content-encoding", "accept-encoding"])

export const toMetadata = (fields: ReadonlyArray<string>): Metadata.MutableMetadata => {
  const metadata = HeaderFields.toMetadata(fields)
  for (const name of metadata.keys()) if (own.has(name) || name.startsWith("connect-")) metadata.delete(name)
  return metadata
}
