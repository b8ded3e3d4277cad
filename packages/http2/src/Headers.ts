/** The block may open a request. @internal */
export const REQUEST = 1
/** The block may be a response head. @internal */
export const RESPONSE = 2
/** The block may be a trailer section. @internal */
export const TRAILERS = 4
/** The list is larger than the limit; its fields are incomplete. @internal */
export const TOO_LARGE = 8

/**
 * A decoded header block. It is immutable and may be shared: the decoder hands out the same object for every block with the same bytes as long as its
 * table does not change, so the identity of a `Headers` is a cheap key and `memo` a place for what was derived from it. Values hold one octet a
 * UTF-16 unit (Latin-1). Several `cookie` fields are joined with "; ", RFC 9113 section 8.2.3.
 */
export class Headers {
  declare readonly method: string
  declare readonly path: string
  declare readonly scheme: string
  declare readonly authority: string
  declare readonly protocol: string
  /** Of a response; 0 when absent. */
  declare readonly status: number
  /** Regular fields, flat: name0, value0, name1, value1, … Names are lower case. */
  declare readonly fields: ReadonlyArray<string>
  /** The `content-length` field, or -1. */
  declare readonly contentLength: number
  /** What this block may be: bits of the constants above. @internal */
  declare readonly flags: number
  /** A slot for the owner of the connection: what it derived from this block, kept as long as the block is cached. */
  declare memo: unknown

  constructor(
    method: string,
    path: string,
    scheme: string,
    authority: string,
    protocol: string,
    status: number,
    fields: ReadonlyArray<string>,
    contentLength: number,
    flags: number
  ) {
    this.method = method
    this.path = path
    this.scheme = scheme
    this.authority = authority
    this.protocol = protocol
    this.status = status
    this.fields = fields
    this.contentLength = contentLength
    this.flags = flags
    this.memo = undefined
  }

  /** The first value of a field; `name` in lower case. */
  get(name: string): string | undefined {
    const fields = this.fields
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] === name) return fields[i + 1]
    }
    return undefined
  }

  /** Every value of a field, in order; `name` in lower case. */
  getAll(name: string): ReadonlyArray<string> {
    const values: Array<string> = []
    const fields = this.fields
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] === name) values.push(fields[i + 1]!)
    }
    return values
  }
}
