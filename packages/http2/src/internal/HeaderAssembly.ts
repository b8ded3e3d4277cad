import { ConnectionError } from "../ConnectionError.ts"
import { ErrorCode } from "../ErrorCode.ts"
import type { Limits } from "../Limits.ts"

const nothing = new Uint8Array(0)

/** A header block that spans HEADERS and CONTINUATION frames, bounded in bytes and in frames. */
export class HeaderAssembly {
  /** The stream whose block is incomplete, or 0: until it is complete no other frame may come, RFC 9113 section 6.10. */
  id = 0
  endStream = false
  /** A block has been begun since somebody last looked. */
  hasBegun = false
  private bytes: Uint8Array = nothing
  private length = 0
  private frames = 0
  private readonly limits: Limits

  constructor(limits: Limits) {
    this.limits = limits
  }

  get heldBytes(): number {
    return this.bytes.length
  }

  begin(id: number, endStream: boolean, source: Uint8Array, start: number, end: number): void {
    this.id = id
    this.hasBegun = true
    this.endStream = endStream
    this.frames = 0
    this.length = 0
    this.add(source, start, end)
  }

  append(source: Uint8Array, start: number, end: number): void {
    if (++this.frames > this.limits.maxContinuations) throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many CONTINUATION frames")
    this.add(source, start, end)
  }

  finish(): Uint8Array {
    const block = this.bytes.subarray(0, this.length)
    this.id = 0
    this.bytes = nothing
    return block
  }

  private add(source: Uint8Array, start: number, end: number): void {
    const length = this.length + end - start
    if (length > this.limits.maxHeaderListSize) throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "header block too large")
    if (length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(length, Math.min(this.bytes.length * 2, this.limits.maxHeaderListSize)))
      larger.set(this.bytes.subarray(0, this.length))
      this.bytes = larger
    }
    this.bytes.set(source.subarray(start, end), this.length)
    this.length = length
  }
}
