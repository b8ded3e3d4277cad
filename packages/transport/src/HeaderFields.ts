/** Metadata as header fields of HTTP/2 and HTTP/1.1, and back. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Metadata from "@effect-kratos/core/Metadata"

/** Fields that belong to the wire, not to the call. */
const reserved = new Set([
  "connection",
  "content-length",
  "content-type",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
])

/** Fields of gRPC that applications see and set (gRFC A6). */
const exposed = new Set(["grpc-previous-rpc-attempts", "grpc-retry-pushback-ms"])

const isReserved = (name: string): boolean => reserved.has(name) || (name.startsWith("grpc-") && !exposed.has(name)) || name.startsWith(":")

/** Metadata of a flat list of fields. The values of `-bin` keys may be joined with commas; they are taken apart. */
export const toMetadata = (fields: ReadonlyArray<string>): Metadata.MutableMetadata => {
  const metadata = Metadata.make()
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!
    if (isReserved(name)) continue
    const value = fields[i + 1]!
    if (name.endsWith("-bin") && value.includes(",")) for (const part of value.split(",")) Metadata.add(metadata, name, part.trim())
    else Metadata.add(metadata, name, value)
  }
  return metadata
}

/** The whole of a flat list of fields, status fields included: trailers. */
export const toTrailers = (fields: ReadonlyArray<string>): Metadata.MutableMetadata => {
  const metadata = Metadata.make()
  for (let i = 0; i < fields.length; i += 2) Metadata.add(metadata, fields[i]!, fields[i + 1]!)
  return metadata
}

/** Fields of metadata that is to be sent; an error names the first key or value that HTTP cannot carry. Reserved names are left out. */
export const fromMetadata = (metadata: Metadata.Metadata): Array<readonly [string, string]> | KratosError.KratosError => {
  const fields: Array<readonly [string, string]> = []
  for (const [name, values] of metadata) {
    if (isReserved(name)) continue
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name))
      return KratosError.internalServer("METADATA", `metadata key ${JSON.stringify(name)} is not a header name`)
    for (const value of values) {
      if (!/^[\t\x20-\x7e]*$/.test(value))
        return KratosError.internalServer("METADATA", `metadata value of ${name} is not printable ASCII; use a -bin key`)
      fields.push([name, value.trim()])
    }
  }
  return fields
}
