import { assert, describe, it } from "@effect/vitest"
import { HeaderBlock } from "../src/HeaderBlock.ts"
import type { Headers } from "../src/Headers.ts"
import type { Stream } from "../src/Stream.ts"
import * as F from "./support/Frames.ts"
import { Exchange, Wire } from "./support/Wire.ts"

const head = HeaderBlock.make([[":status", "200"]])
const INITIAL_WINDOW = 4

/** Writes `left` chunks of its own letter from one buffer that it uses again and again, and only when the stream is ready. */
class Producer extends Exchange {
  left: number
  private readonly scratch = new Uint8Array(16_384)
  private readonly letter: number
  constructor(stream: Stream, letter: string, left: number) {
    super(stream)
    this.letter = letter.charCodeAt(0)
    this.left = left
    stream.headers(head, false)
  }
  produce(): void {
    while (this.left > 0 && this.stream!.isReady()) {
      this.left--
      this.stream!.data(this.scratch.fill(this.letter), this.left === 0, true)
      this.scratch.fill(0)
    }
  }
  override onDrain(): void {
    super.onDrain()
    this.produce()
  }
}

const producers = (chunks: number, ...letters: ReadonlyArray<string>) => {
  const made: Array<Producer> = []
  const wire = Wire.server({
    onStream: (stream: Stream, _headers: Headers) => {
      const producer = new Producer(stream, letters[made.length]!, chunks)
      made.push(producer)
      return producer
    }
  })
  return { wire, made }
}

const textOf = (frames: ReadonlyArray<F.Frame>): string =>
  frames
    .filter(({ type, payload }) => type === 0 && payload.length > 0)
    .map(({ payload }) => {
      const letter = String.fromCharCode(payload[0]!)
      return payload.every((byte) => byte === payload[0]) ? letter : `(mixed ${letter})`
    })
    .join("")

describe("a stream that is asked whether it is ready", () => {
  it("lets nothing be made for a full socket, and goes on where it drains", () => {
    const { made, wire } = producers(8, "a")
    wire.open([INITIAL_WINDOW, 1_000_000])
    wire.send(F.windowUpdate(0, 1_000_000), F.headers(1, F.GET, F.END))
    wire.duplex.open = false
    made[0]!.produce()
    const first = textOf(wire.frames())
    assert.isAbove(first.length, 0)
    assert.strictEqual(made[0]!.left, 8 - first.length, "what was made has left")
    made[0]!.produce()
    assert.strictEqual(made[0]!.left, 8 - first.length)
    wire.drain()
    assert.strictEqual(first + textOf(wire.frames()), "aaaaaaaa")
    assert.strictEqual(wire.connection.openStreams, 0)
  })

  it("waits for its own window and for that of the connection", () => {
    const { made, wire } = producers(6, "a")
    wire.open([INITIAL_WINDOW, 32_768])
    wire.send(F.headers(1, F.GET, F.END))
    made[0]!.produce()
    assert.strictEqual(textOf(wire.frames()), "aa")
    assert.strictEqual(made[0]!.left, 4)
    wire.send(F.windowUpdate(1, 65_536))
    assert.strictEqual(textOf(wire.frames()), "aa", "the rest of the first 65,535 bytes of the connection, in part queued")
    assert.strictEqual(made[0]!.left, 2)
    wire.send(F.windowUpdate(0, 100_000))
    assert.strictEqual(textOf(wire.frames()), "aaa")
    assert.strictEqual(made[0]!.left, 0)
  })

  it("takes turns with others after 64 KiB", () => {
    const { made, wire } = producers(12, "a", "b")
    wire.open([INITIAL_WINDOW, 1_000_000])
    wire.send(F.windowUpdate(0, 1_000_000), F.headers(1, F.GET, F.END), F.headers(3, F.GET, F.END))
    wire.duplex.open = false
    // nobody is ready any more once the socket is full
    made[0]!.produce()
    made[1]!.produce()
    let text = textOf(wire.frames())
    wire.duplex.open = true
    wire.drain()
    text += textOf(wire.frames())
    assert.match(text, /^aaa(aaaa)?(bbbb|aaaa)*/)
    assert.match(text, /ab+a/, "the second stream is served between turns of the first")
    assert.strictEqual(text.replaceAll("a", "").length, 12)
    assert.strictEqual(text.replaceAll("b", "").length, 12)
  })

  it("answers true once it is over: what is given is dropped", () => {
    const { made, wire } = producers(1, "a")
    wire.open([INITIAL_WINDOW, 0])
    wire.send(F.headers(1, F.GET, F.END))
    assert.isFalse(made[0]!.stream!.isReady())
    wire.send(F.reset(1, 8))
    assert.isTrue(made[0]!.stream!.isReady())
  })
})

describe("a borrowed chunk", () => {
  it("may be written over at once, also when it has to wait", () => {
    const wire = Wire.server()
    wire.open([INITIAL_WINDOW, 4])
    wire.send(F.headers(1, F.GET, F.END), F.headers(3, F.GET, F.END))
    const scratch = new Uint8Array(10).fill(97)
    const [one, two] = wire.exchanges
    one!.stream!.headers(head, false)
    one!.stream!.data(scratch, true, true)
    two!.stream!.respond(head, scratch, undefined, true)
    scratch.fill(0)
    wire.send(F.windowUpdate(1, 10), F.windowUpdate(3, 10))
    const frames = wire.frames().filter(({ type }) => type === 0)
    for (const id of [1, 3]) {
      assert.strictEqual(Buffer.concat(frames.filter((frame) => frame.id === id).map(({ payload }) => payload)).toString(), "a".repeat(10))
    }
  })
})
