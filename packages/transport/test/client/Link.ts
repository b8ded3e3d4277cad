/** A line between two ends that takes its time and may be cut: what one end writes arrives some turns of the loop later, in order. */
import type { Duplex } from "node:stream"
import * as MemoryDuplex from "../../src/MemoryDuplex.ts"

export interface Options {
  /** In [0, 1). */
  readonly random: () => number
  /** Turns that a chunk takes at most. */
  readonly turns: number
  /** Bytes in either direction after which the line is cut, in the middle of a chunk. */
  readonly cutAfter?: number | undefined
  /** Sees what the client sends when it leaves. */
  readonly onSent?: ((chunk: Buffer) => void) | undefined
}

/** The client's and the server's end. */
export const make = (options: Options): readonly [client: Duplex, server: Duplex] => {
  const [client, near] = MemoryDuplex.make()
  const [far, server] = MemoryDuplex.make()
  let left = options.cutAfter ?? Number.POSITIVE_INFINITY
  const cut = () => {
    near.destroy()
    far.destroy()
  }
  const forward = (from: Duplex, to: Duplex, onSent: (chunk: Buffer) => void) => {
    const queue: Array<Buffer | undefined> = []
    let running = false
    const deliver = (): void => {
      const chunk = queue.shift()
      if (chunk === undefined) to.end()
      else if (chunk.length <= left) {
        left -= chunk.length
        to.write(chunk)
      } else {
        to.write(chunk.subarray(0, left))
        // what has been let through still arrives
        return void setImmediate(cut)
      }
      run()
    }
    const run = (): void => {
      running = queue.length > 0
      if (!running) return
      let turns = Math.floor(options.random() * options.turns)
      const wait = (): void => (turns-- > 0 ? void setImmediate(wait) : deliver())
      wait()
    }
    const push = (chunk: Buffer | undefined): void => {
      queue.push(chunk)
      if (!running) run()
    }
    from.on("data", (chunk: Buffer) => {
      onSent(chunk)
      push(Buffer.from(chunk))
    })
    from.on("end", () => push(undefined))
    from.on("close", () => push(undefined))
    from.on("error", () => {})
  }
  forward(near, far, options.onSent ?? (() => {}))
  forward(far, near, () => {})
  return [client, server]
}
