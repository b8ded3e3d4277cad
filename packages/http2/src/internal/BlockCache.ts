import type { Headers } from "../Headers.ts"

/** Blocks longer than this are not worth their memory. */
export const MAX_LENGTH = 512
const SLOTS = 64
/** After so many misses in a row only one block in eight is looked up: hashing blocks that never repeat costs as much as it could save. */
const PATIENCE = 32

interface Entry {
  readonly bytes: Uint8Array
  readonly version: number
  readonly headers: Headers
}

/**
 * Decoded blocks by their bytes. Only blocks that leave the dynamic table alone may enter, and an entry holds for one version of the table. A block
 * enters when it comes a second time, so blocks that never repeat cost a hash and no copy.
 */
export class BlockCache {
  private readonly entries: Array<Entry | undefined> = Array.from({ length: SLOTS }, () => undefined)
  /** Hash of the last block that asked for the slot. */
  private readonly candidates = new Int32Array(SLOTS)
  private recent: Entry | undefined = undefined
  /** The version of the entries; those of another never hold again. */
  private version = 0
  private isEmpty = true
  private misses = 0

  /** Whether it is worth while to ask for the next block. */
  get isPromising(): boolean {
    return this.misses < PATIENCE || (this.misses++ & 7) === 0
  }

  /** Bytes of the entries, and their strings at most. */
  get heldBytes(): number {
    let bytes = 0
    for (const entry of this.entries) if (entry !== undefined) bytes += entry.bytes.length * 3
    return bytes
  }

  find(source: Uint8Array, start: number, end: number, version: number): Headers | undefined {
    if (version !== this.version) this.renew(version)
    const recent = this.recent
    if (recent !== undefined && recent.version === version && same(recent.bytes, source, start, end)) {
      this.misses = 0
      return recent.headers
    }
    const entry = this.entries[hash(source, start, end) & (SLOTS - 1)]
    if (entry === undefined || entry.version !== version || !same(entry.bytes, source, start, end)) {
      this.misses++
      return undefined
    }
    this.misses = 0
    this.recent = entry
    return entry.headers
  }

  offer(source: Uint8Array, start: number, end: number, version: number, headers: Headers): void {
    const key = hash(source, start, end)
    const slot = key & (SLOTS - 1)
    if (this.candidates[slot] !== key) {
      this.candidates[slot] = key
      return
    }
    this.recent = { bytes: Uint8Array.prototype.slice.call(source, start, end), version, headers }
    this.entries[slot] = this.recent
    this.isEmpty = false
  }

  /** Lets go of what an older table gave: its strings would otherwise outlive their eviction. */
  private renew(version: number): void {
    this.version = version
    if (this.isEmpty) return
    this.entries.fill(undefined)
    this.recent = undefined
    this.isEmpty = true
  }
}

const same = (bytes: Uint8Array, source: Uint8Array, start: number, end: number): boolean => {
  const length = bytes.length
  if (length !== end - start) return false
  for (let i = 0; i < length; i++) {
    if (bytes[i] !== source[start + i]) return false
  }
  return true
}

const hash = (source: Uint8Array, start: number, end: number): number => {
  let h = 0x811c9dc5
  for (let i = start; i < end; i++) h = Math.imul(h ^ source[i]!, 0x01000193)
  return h ^ (h >>> 15)
}
