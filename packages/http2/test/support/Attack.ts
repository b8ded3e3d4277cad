import { assert } from "@effect/vitest"
import type { ClientConnection } from "../../src/ClientConnection.ts"
import type { Connection } from "../../src/Connection.ts"
import { HeaderBlock } from "../../src/HeaderBlock.ts"
import * as F from "./Frames.ts"
import { Exchange, Wire } from "./Wire.ts"

const head = HeaderBlock.make([
  [":status", "200"],
  ["content-type", "text/plain"]
])

/** A well-behaved connection in the same process: what engines share (scratch space, pooled buffers) must not show. */
export const neighbour = () => {
  const wire = Wire.server()
  wire.open()
  let id = -1
  return {
    wire,
    /** A request and its reply, byte by byte. */
    call: (): void => {
      id += 2
      wire.send(F.headers(id, [...F.GET, ["x-call", String(id)]], F.END))
      const exchange = wire.exchanges.at(-1)!
      assert.strictEqual(exchange.headers[0]?.get("x-call"), String(id))
      exchange.stream?.respond(head, Buffer.from(`call ${id}`), undefined)
      const said = wire.frames()
      assert.deepStrictEqual(F.show(said), [`HEADERS ${id}`, `DATA ${id} ${`call ${id}`.length} END`])
      assert.deepStrictEqual(wire.decode(said[0]).fields, ["content-type", "text/plain"])
      assert.strictEqual(Buffer.from(said[1]!.payload).toString(), `call ${id}`)
    }
  }
}

export interface Attack {
  /** What the peer sends at step `i`; undefined: nothing more. */
  readonly part: (i: number) => Uint8Array | ReadonlyArray<Uint8Array> | undefined
  /** Steps after which a connection that stands it is let go. */
  readonly most?: number | undefined
  /** Bytes that the connection may hold at any time. */
  readonly bound: number
  /** The peer reads what it is sent. Default true. */
  readonly reads?: boolean | undefined
  /** After each step. */
  readonly after?: ((i: number) => void) | undefined
}

export interface Outcome {
  /** Steps until the connection was closed. */
  readonly steps: number
  readonly peak: number
  /** The last frames that were sent, as `Frames.show` has them. */
  readonly said: ReadonlyArray<string>
  /** Bytes received and sent. */
  readonly received: number
  readonly sent: number
}

/** Sends until the connection is closed, while a neighbour makes calls, and holds it to `bound`. */
export const attack = (wire: Wire<Connection>, { bound, most = 20_000, part, reads = true, after }: Attack): Outcome => {
  const other = neighbour()
  other.call()
  if (!reads) wire.duplex.open = false
  let peak = 0
  let received = 0
  let sent = 0
  let said: Array<string> = []
  let i = 0
  const read = (): void => {
    wire.run()
    const bytes = wire.bytes()
    sent += bytes.length
    if (bytes.length > 0) said = [...said, ...F.show(F.parse(bytes))].slice(-8)
  }
  for (; i < most && !wire.connection.closed; i++) {
    const next = part(i)
    if (next === undefined) break
    const bytes = next instanceof Uint8Array ? next : Buffer.concat(next)
    received += bytes.length
    wire.send(bytes)
    if (!reads) wire.duplex.writableLength = wire.duplex.written.reduce((sum, chunk) => sum + chunk.length, 0)
    after?.(i)
    const held = wire.connection.heldBytes
    if (held > peak) peak = held
    assert.isAtMost(held, bound, `bytes held after step ${i}`)
    if (reads) read()
    if (i % 256 === 0) other.call()
  }
  read()
  other.call()
  assert.isFalse(other.wire.connection.closed)
  if (wire.connection.closed) assert.strictEqual(wire.connection.openStreams, 0)
  return { steps: i, peak, said, received, sent }
}

/** The last words and the cause. */
export const endedWith = (wire: Wire<Connection>, { said }: Outcome, code: number): void => {
  assert.isTrue(wire.connection.closed, `goes on: ${said.join(", ")}`)
  assert.match(said.at(-1) ?? "", new RegExp(`^GOAWAY 0 \\d+ ${code}$`))
  assert.isTrue(wire.duplex.ended)
  wire.duplex.destroy()
  assert.lengthOf(wire.closes, 1)
}

/** A request of the client under test. */
export const request = (wire: Wire<ClientConnection>, body?: Uint8Array, end = true): Exchange => {
  const exchange = new Exchange()
  return Object.assign(exchange, { stream: wire.connection.request(HeaderBlock.make(F.POST), exchange, body, end) })
}

/** Header blocks of any representation, RFC 7541 section 6. */
export const integer = (flags: number, bits: number, value: number): ReadonlyArray<number> => {
  const mask = (1 << bits) - 1
  if (value < mask) return [flags | value]
  const octets = [flags | mask]
  let rest = value - mask
  for (; rest >= 0x80; rest >>>= 7) octets.push((rest & 0x7f) | 0x80)
  return [...octets, rest]
}
const text = (value: string): Uint8Array => Buffer.concat([Buffer.from(integer(0, 7, value.length)), Buffer.from(value, "latin1")])
export const indexing = (name: string, value: string): Uint8Array => Buffer.concat([Buffer.from([0x40]), text(name), text(value)])
export const literal = (name: string, value: string): Uint8Array => Buffer.concat([Buffer.from([0]), text(name), text(value)])
export const indexed = (index: number): Uint8Array => Buffer.from(integer(0x80, 7, index))
export const resize = (size: number): Uint8Array => Buffer.from(integer(0x20, 5, size))

/** A block in as many frames as it takes. */
export const blockFrames = (id: number, block: Uint8Array, flags: number, size = 16_384): ReadonlyArray<Uint8Array> => {
  const frames: Array<Uint8Array> = []
  for (let at = 0; at === 0 || at < block.length; at += size) {
    const last = at + size >= block.length ? 4 : 0
    frames.push(F.frame(at === 0 ? 1 : 9, last | (at === 0 ? flags : 0), id, block.subarray(at, at + size)))
  }
  return frames
}
