import { HeaderBlock } from "../../src/HeaderBlock.ts"
import { HpackEncoder } from "../../src/internal/HpackEncoder.ts"
import * as Type from "../../src/internal/Frame.ts"

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly id: number
  readonly payload: Uint8Array
}

export const PREFACE: Uint8Array = Buffer.from(Type.PREFACE, "latin1")

export const frame = (type: number, flags: number, id: number, payload: Uint8Array | ReadonlyArray<number> = []): Uint8Array => {
  const body = Uint8Array.from(payload)
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(id >>> 0, 5)
  return Buffer.concat([head, body])
}

export const uint32 = (value: number): ReadonlyArray<number> => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]

export const settings = (...entries: ReadonlyArray<readonly [id: number, value: number]>): Uint8Array =>
  frame(
    Type.SETTINGS,
    0,
    0,
    entries.flatMap(([id, value]) => [id >>> 8, id & 255].concat(uint32(value)))
  )

export const SETTINGS_ACK = frame(Type.SETTINGS, Type.ACK, 0)

export const windowUpdate = (id: number, increment: number): Uint8Array => frame(Type.WINDOW_UPDATE, 0, id, uint32(increment))

export const reset = (id: number, code: number): Uint8Array => frame(Type.RST_STREAM, 0, id, uint32(code))

export const goAway = (lastId: number, code: number): Uint8Array => frame(Type.GOAWAY, 0, 0, [...uint32(lastId), ...uint32(code)])

export const ping = (payload = "12345678", flags = 0): Uint8Array => frame(Type.PING, flags, 0, Buffer.from(payload, "latin1"))

export const data = (id: number, text: string | Uint8Array, flags = 0): Uint8Array =>
  frame(Type.DATA, flags, id, typeof text === "string" ? Buffer.from(text, "latin1") : text)

export const END = Type.END_STREAM

/** A header block that uses the static table only, so that any connection can read it at any time. */
export const block = (fields: ReadonlyArray<readonly [string, string]>): Uint8Array => {
  const encoder = new HpackEncoder(4096)
  const length = encoder.encode(HeaderBlock.make(fields, { reuse: false }))
  return Uint8Array.prototype.slice.call(encoder.bytes, 0, length)
}

/** The same from any fields, also those that `HeaderBlock` would put right: plain literals. */
export const rawBlock = (fields: ReadonlyArray<readonly [string, string]>): Uint8Array =>
  Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.from([0, name.length]),
      Buffer.from(name, "latin1"),
      Buffer.from([value.length]),
      Buffer.from(value, "latin1")
    ])
  )

export const headers = (id: number, fields: ReadonlyArray<readonly [string, string]>, flags = 0): Uint8Array =>
  frame(Type.HEADERS, flags | Type.END_HEADERS, id, rawBlock(fields))

export const GET: ReadonlyArray<readonly [string, string]> = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/a"],
  [":authority", "host"]
]
export const POST: ReadonlyArray<readonly [string, string]> = [[":method", "POST"], ...GET.slice(1)]

export const parse = (bytes: Uint8Array): Array<Frame> => {
  const frames: Array<Frame> = []
  for (let at = 0; at < bytes.length;) {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
    const end = at + 9 + length
    if (end > bytes.length) throw new Error("incomplete frame written")
    frames.push({ type: bytes[at + 3]!, flags: bytes[at + 4]!, id: Type.uint32(bytes, at + 5), payload: bytes.subarray(at + 9, end) })
    at = end
  }
  return frames
}

const names = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION"]

/** One line a frame: type, stream, flags that matter, and what can be said of the payload. */
export const show = (frames: ReadonlyArray<Frame>): Array<string> =>
  frames.map(({ type, flags, id, payload }) => {
    const parts = [names[type] ?? `TYPE${type}`, id]
    if (type === Type.RST_STREAM || type === Type.WINDOW_UPDATE) parts.push(Type.uint32(payload, 0))
    if (type === Type.GOAWAY) parts.push(Type.uint32(payload, 0), Type.uint32(payload, 4))
    if (type === Type.DATA) parts.push(payload.length)
    if ((type === Type.SETTINGS || type === Type.PING) && (flags & Type.ACK) !== 0) parts.push("ACK")
    if ((type === Type.DATA || type === Type.HEADERS) && (flags & Type.END_STREAM) !== 0) parts.push("END")
    return parts.join(" ")
  })
