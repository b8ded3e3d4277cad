/** A second reader of HPACK (RFC 7541), written for plainness: bit by bit, a list of fields or an error. Only the tables of the RFC's appendices are shared. */
import * as Huffman from "../../packages/http2/src/internal/Huffman.ts"
import * as StaticTable from "../../packages/http2/src/internal/StaticTable.ts"

export type Field = readonly [name: string, value: string]

/** Not HPACK. */
export class OracleError extends Error {}

const fail = (why: string): never => {
  throw new OracleError(why)
}

const symbols = new Map<string, number>()

const huffman = (bytes: Uint8Array): string => {
  if (symbols.size === 0) {
    const { codes, lengths } = Huffman.tables()
    for (let symbol = 0; symbol < 257; symbol++) symbols.set(codes[symbol]!.toString(2).padStart(lengths[symbol]!, "0"), symbol)
  }
  let text = ""
  let code = ""
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code += (byte >> bit) & 1
      const symbol = symbols.get(code)
      if (symbol === undefined) {
        if (code.length > 30) fail("no code")
        continue
      }
      if (symbol === 256) fail("EOS")
      text += String.fromCharCode(symbol)
      code = ""
    }
  }
  if (code.length > 7 || code.includes("0")) fail("padding")
  return text
}

export class HpackOracle {
  private readonly entries: Array<Field> = []
  private size = 0
  private maxSize = 4096
  private readonly limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  decode(block: Uint8Array): ReadonlyArray<Field> {
    const fields: Array<Field> = []
    let at = 0
    let onlyUpdates = true
    const octet = (): number => (at < block.length ? block[at++]! : fail("cut short"))
    const integer = (first: number, bits: number): number => {
      const mask = 2 ** bits - 1
      let value = first & mask
      if (value < mask) return value
      for (let i = 0; ; i++) {
        // no integer of ours needs more octets
        if (i === 4) fail("integer too large")
        const next = octet()
        value += (next & 127) * 2 ** (7 * i)
        if (next < 128) return value
      }
    }
    const string = (): string => {
      const first = octet()
      const length = integer(first, 7)
      if (at + length > block.length) fail("string cut short")
      const bytes = block.subarray(at, (at += length))
      return first >= 128 ? huffman(bytes) : String.fromCharCode(...bytes)
    }
    const literal = (index: number): Field => {
      const name = index === 0 ? string() : this.lookup(index)[0]
      return [name, string()]
    }
    while (at < block.length) {
      const first = octet()
      if (first >= 128) fields.push(this.lookup(integer(first, 7)))
      else if (first >= 64) {
        const field = literal(integer(first, 6))
        fields.push(field)
        this.insert(field)
      } else if (first >= 32) {
        if (!onlyUpdates) fail("update behind a field")
        const size = integer(first, 5)
        if (size > this.limit) fail("update above the limit")
        this.maxSize = size
        this.evict(size)
        continue
      } else fields.push(literal(integer(first, 4)))
      onlyUpdates = false
    }
    return fields
  }

  private lookup(index: number): Field {
    const { names, values } = StaticTable.table()
    if (index > 0 && index <= StaticTable.SIZE) return [names[index]!, values[index]!]
    return this.entries[index - StaticTable.SIZE - 1] ?? fail("no such index")
  }

  private insert(field: Field): void {
    const size = field[0].length + field[1].length + 32
    this.evict(this.maxSize - size)
    if (size > this.maxSize) return
    this.entries.unshift(field)
    this.size += size
  }

  private evict(limit: number): void {
    while (this.size > limit && this.entries.length > 0) {
      const [name, value] = this.entries.pop()!
      this.size -= name.length + value.length + 32
    }
  }
}
