import { ConnectionError } from "../ConnectionError.ts"
import { ErrorCode } from "../ErrorCode.ts"

/**
 * Counts events that cost the peer nothing. The clock is read only when the count passes the limit: then the connection ends if the events came within
 * the window, and the count starts anew if not. So up to twice the limit may pass within one window.
 */
export class AbuseCounter {
  private count = 0
  private since: number
  private readonly limit: number
  private readonly window: number
  private readonly now: () => number
  private readonly what: string

  constructor(limit: number, window: number, now: () => number, what: string) {
    this.limit = limit
    this.window = window
    this.now = now
    this.what = what
    this.since = now()
  }

  /** Throws a `ConnectionError` when there were too many. */
  add(): void {
    if (++this.count <= this.limit) return
    const now = this.now()
    if (now - this.since < this.window) throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, `too many ${this.what}`)
    this.since = now
    this.count = 1
  }

  /** Something useful happened, worth so many events. */
  forgive(events: number): void {
    this.count = Math.max(0, this.count - events)
  }

  clear(): void {
    this.count = 0
  }
}
