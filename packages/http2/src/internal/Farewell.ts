import type { Duplex } from "node:stream"
import * as Platform from "./Platform.ts"

/** Bytes read and dropped after the end before the peer is cut off. */
const MOST = 4_194_304

/**
 * Ends a duplex so that the last frames arrive: to destroy a socket with unread input would destroy the output too, so input is read and dropped for a
 * while. The timer is the platform's: it outlives the owner of the connection, whose timers end with it, and does not keep the process alive.
 */
export class Farewell {
  private readonly duplex: Duplex
  private cancel: (() => void) | undefined = undefined
  private dropped = 0

  constructor(duplex: Duplex) {
    this.duplex = duplex
  }

  /** `linger`: milliseconds that the peer gets; `waits` is false when nothing that it still sends matters, so that flushed is enough. */
  begin(linger: number, waits: boolean): void {
    const { duplex } = this
    if (linger === 0) {
      duplex.destroy()
      return
    }
    if (waits) duplex.end()
    else duplex.end(() => duplex.destroy())
    this.cancel = Platform.after(linger, () => duplex.destroy())
  }

  drop(chunk: Uint8Array): void {
    this.dropped += chunk.length
    if (this.dropped > MOST) this.duplex.destroy()
  }

  done(): void {
    this.cancel?.()
  }
}
