/**
 * A map of bounded size that forgets what was used least recently. A look-up moves two links and allocates nothing, which a `Map` whose
 * entries are deleted and set again does not manage.
 */
export interface LruMap<K, V> {
  readonly size: () => number
  /** The value of `key`, which becomes the most recently used. */
  readonly get: (key: K) => V | undefined
  /** The value of `key` without using it. */
  readonly peek: (key: K) => V | undefined
  /** Stores a value as the most recently used; returns the one that had to go for it. */
  readonly set: (key: K, value: V) => V | undefined
  readonly delete: (key: K) => boolean
  /** The key used least recently. */
  readonly oldest: () => K | undefined
  readonly clear: () => void
  /** The values, most recently used first. */
  readonly values: () => Iterable<V>
}

/** A map of at most `capacity` entries; at least 1. */
export const make = <K, V>(capacity: number): LruMap<K, V> => new Linked<K, V>(Math.max(1, Math.floor(capacity) || 1))

interface Entry<K, V> {
  key: K
  value: V
  newer: Entry<K, V> | undefined
  older: Entry<K, V> | undefined
}

class Linked<K, V> implements LruMap<K, V> {
  private readonly entries = new Map<K, Entry<K, V>>()
  private readonly capacity: number
  private newestEntry: Entry<K, V> | undefined = undefined
  private oldestEntry: Entry<K, V> | undefined = undefined

  constructor(capacity: number) {
    this.capacity = capacity
  }

  size(): number {
    return this.entries.size
  }

  get(key: K): V | undefined {
    const entry = this.entries.get(key)
    if (entry === undefined) return undefined
    if (entry !== this.newestEntry) {
      this.unlink(entry)
      this.link(entry)
    }
    return entry.value
  }

  peek(key: K): V | undefined {
    return this.entries.get(key)?.value
  }

  set(key: K, value: V): V | undefined {
    const existing = this.entries.get(key)
    if (existing !== undefined) {
      existing.value = value
      this.get(key)
      return undefined
    }
    let gone: V | undefined = undefined
    if (this.entries.size >= this.capacity && this.oldestEntry !== undefined) {
      gone = this.oldestEntry.value
      this.delete(this.oldestEntry.key)
    }
    const entry: Entry<K, V> = { key, value, newer: undefined, older: undefined }
    this.entries.set(key, entry)
    this.link(entry)
    return gone
  }

  delete(key: K): boolean {
    const entry = this.entries.get(key)
    if (entry === undefined) return false
    this.unlink(entry)
    return this.entries.delete(key)
  }

  oldest(): K | undefined {
    return this.oldestEntry?.key
  }

  clear(): void {
    this.entries.clear()
    this.newestEntry = undefined
    this.oldestEntry = undefined
  }

  *values(): Iterable<V> {
    for (let entry = this.newestEntry; entry !== undefined; entry = entry.older) yield entry.value
  }

  private link(entry: Entry<K, V>): void {
    entry.older = this.newestEntry
    entry.newer = undefined
    if (this.newestEntry === undefined) this.oldestEntry = entry
    else this.newestEntry.newer = entry
    this.newestEntry = entry
  }

  private unlink(entry: Entry<K, V>): void {
    if (entry.newer === undefined) this.newestEntry = entry.older
    else entry.newer.older = entry.older
    if (entry.older === undefined) this.oldestEntry = entry.newer
    else entry.older.newer = entry.newer
  }
}
