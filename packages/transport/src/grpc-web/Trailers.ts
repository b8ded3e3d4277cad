/** The trailers of gRPC-Web: the last envelope of a body, whose bytes are header lines. */
import * as Metadata from "@effect-kratos/core/Metadata"

/** Marks the envelope. */
export const FLAG = 0x80

/** Longest content of the envelope that we read, in bytes. */
export const MAX_BYTES = 65_536

/** The envelope, prefix and all. */
export const encode = (fields: ReadonlyArray<readonly [string, string]>): Uint8Array => {
  // names and values of metadata are ASCII
  const lines = Buffer.from(fields.map(([name, value]) => `${name}: ${value}\r\n`).join(""), "latin1")
  const prefix = Buffer.alloc(5)
  prefix[0] = FLAG
  prefix.writeUInt32BE(lines.length, 1)
  return Buffer.concat([prefix, lines])
}

/** The lines of an envelope, without its prefix. One that has no name is left out. */
export const decode = (content: Uint8Array): Metadata.MutableMetadata => {
  const trailers = Metadata.make()
  for (const line of Buffer.from(content.buffer, content.byteOffset, content.length).toString("latin1").split(/\r?\n/)) {
    const colon = line.indexOf(":")
    if (colon > 0) Metadata.add(trailers, line.slice(0, colon).trim(), line.slice(colon + 1).trim())
  }
  return trailers
}
