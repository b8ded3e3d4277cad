/**
 * Two joined streams of bytes in memory that behave like the ends of a socket: what one writes the other reads in a later tick, never inside the
 * write; an end or a destruction of one is the end of the other. (`duplexPair` of Node delivers inside the write and stays half open.)
 */
import { Duplex } from "node:stream"

type Done = (error?: Error | null) => void

class Side extends Duplex {
  other: Side | undefined = undefined
  private accepted: Done | undefined = undefined

  constructor() {
    super({ allowHalfOpen: false })
  }

  override _read(): void {
    const { accepted } = this
    this.accepted = undefined
    accepted?.()
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    process.nextTick(() => this.other!.deliver(chunk, done))
  }

  override _final(done: Done): void {
    process.nextTick(() => {
      this.other!.finish()
      done()
    })
  }

  override _destroy(error: Error | null, done: Done): void {
    process.nextTick(() => this.other!.finish())
    this._read()
    done(error)
  }

  /** Whoever wrote goes on when this side wants more; what comes too late is lost, as on a closed socket. */
  private deliver(chunk: Buffer, done: Done): void {
    if (this.destroyed || this.readableEnded || this.push(chunk)) done()
    else this.accepted = done
  }

  private finish(): void {
    if (!this.destroyed && !this.readableEnded) this.push(null)
  }
}

/** A fresh pair. */
export const make = (): readonly [Duplex, Duplex] => {
  const one = new Side()
  const two = new Side()
  one.other = two
  two.other = one
  return [one, two]
}
