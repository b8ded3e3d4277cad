const MOST = 32

/** The pings on their way, by a running number that is their payload. */
export class Pings {
  private readonly callbacks = new Map<number, (acknowledged: boolean) => void>()
  private number = 0

  /** The payload, or undefined when there are too many. */
  add(callback: (acknowledged: boolean) => void): number | undefined {
    if (this.callbacks.size >= MOST) return undefined
    this.number = (this.number + 1) >>> 0
    this.callbacks.set(this.number, callback)
    return this.number
  }

  acknowledge(payload: number): void {
    const callback = this.callbacks.get(payload)
    if (callback === undefined) return
    this.callbacks.delete(payload)
    callback(true)
  }

  fail(): void {
    const callbacks = [...this.callbacks.values()]
    this.callbacks.clear()
    for (const callback of callbacks) callback(false)
  }
}
