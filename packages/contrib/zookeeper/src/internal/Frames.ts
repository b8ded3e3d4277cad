/** Frames of a stream of octets: a length of four octets, then so many. */
import { JuteError } from "./Jute.ts"

export interface Frames {
  /** Hands over each frame that `chunk` completes. Throws `JuteError` at a frame longer than the limit, before it is buffered. */
  readonly push: (chunk: Buffer) => void
}

export const make = (maxBytes: number, onFrame: (frame: Buffer) => void): Frames => {
  const header = Buffer.allocUnsafe(4)
  let headerBytes = 0
  /** Of the frame under way; 0 while its length is read. */
  let length = 0
  /** What has come of a frame that came in parts: it grows with what comes, not with what was announced. */
  let partial = Buffer.alloc(0)
  let filled = 0

  const keep = (part: Buffer): void => {
    if (filled + part.length > partial.length) {
      const grown = Buffer.allocUnsafe(Math.min(length, Math.max(filled + part.length, partial.length * 2, 4096)))
      partial.copy(grown, 0, 0, filled)
      partial = grown
    }
    part.copy(partial, filled)
    filled += part.length
  }

  return {
    push: (chunk) => {
      let at = 0
      while (at < chunk.length) {
        if (length === 0) {
          const taken = chunk.copy(header, headerBytes, at, at + 4 - headerBytes)
          headerBytes += taken
          at += taken
          if (headerBytes < 4) return
          headerBytes = 0
          const announced = header.readInt32BE(0)
          if (announced < 1 || announced > maxBytes) throw new JuteError(`a frame of ${announced} octets, ${maxBytes} at most`)
          length = announced
          continue
        }
        const part = chunk.subarray(at, at + length - filled)
        at += part.length
        if (part.length === length) {
          length = 0
          onFrame(part)
          continue
        }
        keep(part)
        if (filled < length) return
        const frame = partial.subarray(0, length)
        partial = Buffer.alloc(0)
        filled = 0
        length = 0
        onFrame(frame)
      }
    }
  }
}
