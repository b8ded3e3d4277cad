/** The trailers of gRPC-Web: the last envelope of a body, whose bytes are header lines. */

/** Marks the envelope. */
export const FLAG = 0x80

/** The envelope, prefix and all. */
export const encode = (fields: ReadonlyArray<readonly [string, string]>): Uint8Array => {
  // names and values of metadata are ASCII
  const lines = Buffer.from(fields.map(([name, value]) => `${name}: ${value}\r\n`).join(""), "latin1")
  const prefix = Buffer.alloc(5)
  prefix[0] = FLAG
  prefix.writeUInt32BE(lines.length, 1)
  return Buffer.concat([prefix, lines])
}
