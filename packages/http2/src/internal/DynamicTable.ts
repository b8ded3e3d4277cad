import * as FieldKind from "./FieldKind.ts"
import * as StaticTable from "./StaticTable.ts"

/**
 * The table of an HPACK decoder, RFC 7541 section 2.3: static entries and, behind them, a ring of dynamic ones. `version` counts changes; what was
 * derived from indices holds as long as it stands still.
 */
export class DynamicTable {
  version = 0
  /** Octets in use. */
  size = 0
  maxSize: number
  private names: Array<string> = []
  private values: Array<string> = []
  private kinds: Array<number> = []
  private mask = -1
  /** Ring position of the next entry. */
  private head = 0
  private length = 0
  private readonly fixed: StaticTable.StaticTable = StaticTable.table()
  private readonly fixedKinds: Array<number>

  constructor(maxSize: number) {
    this.maxSize = maxSize
    this.fixedKinds = this.fixed.names.map((name) => FieldKind.ofName(name, name.startsWith(":")))
  }

  has(index: number): boolean {
    return index <= StaticTable.SIZE + this.length
  }

  name(index: number): string {
    return index <= StaticTable.SIZE ? this.fixed.names[index]! : this.names[(this.head + StaticTable.SIZE - index) & this.mask]!
  }

  value(index: number): string {
    return index <= StaticTable.SIZE ? this.fixed.values[index]! : this.values[(this.head + StaticTable.SIZE - index) & this.mask]!
  }

  kind(index: number): number {
    return index <= StaticTable.SIZE ? this.fixedKinds[index]! : this.kinds[(this.head + StaticTable.SIZE - index) & this.mask]!
  }

  insert(name: string, value: string, kind: number): void {
    const size = name.length + value.length + 32
    this.version++
    this.evict(this.maxSize - size)
    // An entry larger than the table empties it and is not an error, section 4.4.
    if (size > this.maxSize) return
    if (this.length > this.mask) this.grow()
    const slot = this.head & this.mask
    this.names[slot] = name
    this.values[slot] = value
    this.kinds[slot] = kind
    this.head = (this.head + 1) & this.mask
    this.length++
    this.size += size
  }

  resize(maxSize: number): void {
    this.version++
    this.maxSize = maxSize
    this.evict(maxSize)
  }

  private evict(limit: number): void {
    while (this.length > 0 && this.size > limit) {
      const slot = (this.head - this.length) & this.mask
      this.size -= this.names[slot]!.length + this.values[slot]!.length + 32
      this.names[slot] = ""
      this.values[slot] = ""
      this.length--
    }
  }

  private grow(): void {
    const capacity = Math.max(32, (this.mask + 1) * 2)
    const names = Array.from({ length: capacity }, () => "")
    const values = Array.from({ length: capacity }, () => "")
    const kinds = Array.from({ length: capacity }, () => 0)
    for (let i = 0; i < this.length; i++) {
      const slot = (this.head - this.length + i) & this.mask
      names[i] = this.names[slot]!
      values[i] = this.values[slot]!
      kinds[i] = this.kinds[slot]!
    }
    this.names = names
    this.values = values
    this.kinds = kinds
    this.head = this.length
    this.mask = capacity - 1
  }
}
