/**
 * Server-sent events as Kratos v3 writes and reads them: `event: message` or `event: error`, the payload as `data:` lines, a blank line; LF only, no
 * `id:`, no `retry:`. What browsers' `EventSource` makes of it is the same (html.spec.whatwg.org, section 9.2).
 */

import { ByteBuffer } from "../ByteBuffer.ts"

export type EventName = "message" | "error"

const LF = 10
const CR = 13

const opening: Readonly<Record<EventName, Buffer>> = {
  message: Buffer.from("event: message\ndata: "),
  error: Buffer.from("event: error\ndata: ")
}
const nextLine = Buffer.from("\ndata: ")
const closing = Buffer.from("\n\n")

/** The bytes of one event. Line breaks of any kind in the payload arrive as LF. */
export const encode = (name: EventName, payload: Uint8Array): Uint8Array => {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length)
  if (!bytes.includes(LF) && !bytes.includes(CR)) return Buffer.concat([opening[name], bytes, closing])
  const parts: Array<Buffer> = [opening[name]]
  let start = 0
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== LF && bytes[i] !== CR) continue
    parts.push(bytes.subarray(start, i), nextLine)
    if (bytes[i] === CR && bytes[i + 1] === LF) i++
    start = i + 1
  }
  parts.push(bytes.subarray(start), closing)
  return Buffer.concat(parts)
}

/** A comment, which readers skip: keeps a silent stream alive on its way through proxies. */
export const ping: Uint8Array = Buffer.from(": ping\n\n")

/** Reads events from chunks that may end anywhere. */
export class EventReader {
  private readonly maxBytes: number
  private readonly onEvent: (name: string, data: Uint8Array) => void
  /** An unfinished line. */
  private readonly line = new ByteBuffer()
  private name = ""
  private data: ByteBuffer | undefined = undefined
  /** A CR has ended a line; an LF behind it belongs to it. */
  private afterReturn = false

  /** `maxBytes` limits a line and the data of an event. `onEvent` gets a name of `""` when the event has none. */
  constructor(maxBytes: number, onEvent: (name: string, data: Uint8Array) => void) {
    this.maxBytes = maxBytes
    this.onEvent = onEvent
  }

  /** False when an event is larger than the limit; nothing can be read after that. */
  push(chunk: Uint8Array): boolean {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    let start = 0
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]
      if (byte !== LF && byte !== CR) {
        this.afterReturn = false
        continue
      }
      if (byte === LF && this.afterReturn) {
        this.afterReturn = false
        start = i + 1
        continue
      }
      this.afterReturn = byte === CR
      if (!this.endLine(bytes.subarray(start, i))) return false
      start = i + 1
    }
    if (start === bytes.length) return true
    // the chunk is the wire's, and may be reused
    this.line.add(bytes.subarray(start))
    return this.line.length <= this.maxBytes + MAX_NAME
  }

  private endLine(last: Buffer): boolean {
    let line = last
    if (this.line.length > 0) {
      this.line.add(last)
      const whole = this.line.take()
      line = Buffer.from(whole.buffer, whole.byteOffset, whole.length)
    }
    if (line.length === 0) this.dispatch()
    else if (!this.field(line)) return false
    return true
  }

  private field(line: Buffer): boolean {
    const colon = line.indexOf(58)
    const name = line.toString("latin1", 0, colon === -1 ? line.length : Math.min(colon, MAX_NAME))
    let from = colon === -1 ? line.length : colon + 1
    if (line[from] === 32) from++
    if (name === "event") this.name = line.toString("utf8", from).trim()
    else if (name === "data") {
      if (this.data === undefined) this.data = new ByteBuffer()
      else this.data.add(newline)
      if (this.data.length + line.length - from > this.maxBytes) return false
      this.data.add(line.subarray(from))
    }
    return true
  }

  private dispatch(): void {
    const { data, name } = this
    this.name = ""
    this.data = undefined
    // Kratos takes a name without data for an event, browsers do not; neither occurs with what anybody sends
    if (data !== undefined) this.onEvent(name, data.take())
  }
}

const newline = Buffer.from("\n")
/** What stands before the data in a line may be this long. */
const MAX_NAME = 64
