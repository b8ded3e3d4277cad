/**
 * Jute, the encoding of ZooKeeper's protocol: big-endian numbers, and texts, octets and lists behind a length of four octets, where -1 stands for nothing.
 * The reader believes no length before the octets are there.
 */

/** What was read is not what the protocol says. */
export class JuteError extends Error {
  override readonly name = "JuteError"
}

const none = Buffer.alloc(0)

export class Writer {
  private bytes = Buffer.allocUnsafe(256)
  /** The first four octets are the length of the frame. */
  private length = 4

  private room(size: number): number {
    const at = this.length
    if (at + size > this.bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, at + size))
      this.bytes.copy(grown, 0, 0, at)
      this.bytes = grown
    }
    this.length = at + size
    return at
  }

  bool(value: boolean): this {
    const at = this.room(1)
    this.bytes[at] = value ? 1 : 0
    return this
  }

  int(value: number): this {
    const at = this.room(4)
    this.bytes.writeInt32BE(value, at)
    return this
  }

  long(value: bigint): this {
    const at = this.room(8)
    this.bytes.writeBigInt64BE(value, at)
    return this
  }

  octets(value: Uint8Array): this {
    this.int(value.length)
    const at = this.room(value.length)
    this.bytes.set(value, at)
    return this
  }

  text(value: string): this {
    return this.octets(Buffer.from(value, "utf8"))
  }

  /** What was written, with its length in front. */
  frame(): Buffer {
    this.bytes.writeInt32BE(this.length - 4, 0)
    return this.bytes.subarray(0, this.length)
  }
}

/** Throws `JuteError` where the octets end too early or a length makes no sense. */
export class Reader {
  private readonly bytes: Buffer
  private at = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get remaining(): number {
    return this.bytes.length - this.at
  }

  private take(size: number): number {
    const at = this.at
    if (size > this.remaining) throw new JuteError(`${size} octets are announced, ${this.remaining} are there`)
    this.at = at + size
    return at
  }

  bool(): boolean {
    return this.bytes[this.take(1)] !== 0
  }

  int(): number {
    return this.bytes.readInt32BE(this.take(4))
  }

  long(): bigint {
    return this.bytes.readBigInt64BE(this.take(8))
  }

  /** A view of what was read. */
  octets(): Buffer {
    const length = this.int()
    if (length === -1) return none
    if (length < 0) throw new JuteError(`a length of ${length}`)
    const at = this.take(length)
    return this.bytes.subarray(at, at + length)
  }

  text(): string {
    return this.octets().toString("utf8")
  }

  texts(): ReadonlyArray<string> {
    const count = this.int()
    // each has a length of four octets at least
    if (count < -1 || count * 4 > this.remaining) throw new JuteError(`a list of ${count} in ${this.remaining} octets`)
    const list: Array<string> = []
    for (let i = 0; i < count; i++) list.push(this.text())
    return list
  }
}
