/**
 * How many connections a server has at a time. Those above it are not refused: they wait, accepted by the system but unread, until one ends; the
 * sender's TCP holds back what does not fit its window. (Node gives no way to leave them in the backlog of the kernel.) Only what waits above a second
 * bound is closed.
 */
import type { Duplex } from "node:stream"

export interface Options {
  /** Connections served at a time. */
  readonly most: number
  /** Connections that may wait. */
  readonly mostWaiting: number
  /** Called when a connection has to wait and none did before. */
  readonly onFull?: (() => void) | undefined
}

export class Admission {
  /** Connections that are served. */
  open = 0
  private readonly options: Options
  private readonly waiting = new Map<Duplex, () => void>()
  private closed = false

  constructor(options: Options) {
    this.options = options
  }

  get size(): number {
    return this.waiting.size
  }

  /** Calls `serve` now or when there is room; never when the connection ends before. */
  readonly enter = (duplex: Duplex, serve: () => void): void => {
    const { most, mostWaiting, onFull } = this.options
    if (this.closed) return void duplex.destroy()
    if (this.open < most) return this.admit(duplex, serve)
    if (this.waiting.size >= mostWaiting) return void duplex.destroy()
    if (this.waiting.size === 0) onFull?.()
    this.waiting.set(duplex, serve)
    duplex.on("error", ignore)
    duplex.once("close", () => this.waiting.delete(duplex))
  }

  /** Nobody is admitted any more, and nobody waits. */
  close(): void {
    this.closed = true
    for (const duplex of this.waiting.keys()) duplex.destroy()
    this.waiting.clear()
  }

  private admit(duplex: Duplex, serve: () => void): void {
    this.open++
    duplex.once("close", () => {
      this.open--
      this.next()
    })
    serve()
  }

  private next(): void {
    for (const [duplex, serve] of this.waiting) {
      this.waiting.delete(duplex)
      duplex.removeListener("error", ignore)
      // one that has gone while it waited makes no room
      if (!duplex.destroyed) return this.admit(duplex, serve)
    }
  }
}

// "close" follows
const ignore = (): void => {}
