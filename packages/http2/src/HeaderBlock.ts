import { Field } from "./internal/Field.ts"

export interface Options {
  /** Names whose values never enter a table, here or on the way (literal never indexed): credentials, session ids. */
  readonly sensitive?: ReadonlyArray<string> | undefined
  /** False for a one-off block: it does not enter the dynamic table and is not cached. Default true. */
  readonly reuse?: boolean | undefined
}

/** Fields that have no place in HTTP/2, RFC 9113 section 8.2.2. */
const FORBIDDEN = new Set(["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"])

/**
 * An outgoing header list, made once and sent many times: each connection encodes it once and enters its fields into the peer's dynamic table, after
 * which the block is a byte a field. Pseudo fields are ordinary entries. What cannot be sent is put right and never thrown about: names are lowered,
 * pseudo fields moved to the front, connection-specific fields and names that are no tokens dropped, NUL, CR and LF in values replaced by spaces,
 * outer white space trimmed, characters above U+00FF written as UTF-8.
 */
export class HeaderBlock {
  /** @internal */
  readonly fields: ReadonlyArray<Field>
  /** @internal */
  readonly reuse: boolean
  /** A request of method HEAD: its response has no body. @internal */
  readonly isHead: boolean
  /** An informational response, after which another head follows. @internal */
  readonly isInformational: boolean

  /** The reusable part that comes before `fields`. @internal */
  readonly base: HeaderBlock | undefined

  private constructor(fields: ReadonlyArray<Field>, reuse: boolean, base: HeaderBlock | undefined) {
    this.fields = fields
    this.reuse = reuse
    this.base = base
    if (base !== undefined) {
      this.isInformational = base.isInformational
      this.isHead = base.isHead
      return
    }
    const first = fields[0]
    this.isInformational = first?.name === ":status" && first.value.startsWith("1")
    this.isHead = fields.some((field) => field.value === "HEAD" && field.name === ":method")
  }

  static make(fields: ReadonlyArray<readonly [name: string, value: string]>, options?: Options): HeaderBlock {
    const sensitive = options?.sensitive
    const list: Array<Field> = []
    let pseudo = 0
    for (const [rawName, rawValue] of fields) {
      const field = Field.make(rawName, rawValue, sensitive)
      if (field === undefined || FORBIDDEN.has(field.name) || (field.name === "te" && field.value !== "trailers")) continue
      if (!field.name.startsWith(":")) list.push(field)
      else if (pseudo === list.length) pseudo = list.push(field)
      else list.splice(pseudo++, 0, field)
    }
    return new HeaderBlock(list, options?.reuse ?? true, undefined)
  }

  /** A one-off block: this one, encoded once as ever, and after it the fields of one message. Pseudo fields have no place in them. */
  extend(fields: ReadonlyArray<readonly [name: string, value: string]>, options?: Pick<Options, "sensitive">): HeaderBlock {
    const extra = HeaderBlock.make(fields, { ...options, reuse: false })
    return new HeaderBlock(
      extra.fields.filter((field) => !field.name.startsWith(":")),
      false,
      this
    )
  }

  /** @internal */
  get isEmpty(): boolean {
    return this.fields.length === 0 && this.base === undefined
  }
}
