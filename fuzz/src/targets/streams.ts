/** Readers of streams: what they give does not depend on how the bytes are cut, and they hold no more than they were told. */
import * as Compression from "../../../packages/transport/src/grpc/Compression.ts"
import * as GrpcMessage from "../../../packages/transport/src/grpc/Message.ts"
import { EnvelopeReader } from "../../../packages/transport/src/connect/EnvelopeReader.ts"
import { ByteBuffer } from "../../../packages/transport/src/ByteBuffer.ts"
import { ReadAhead } from "../../../packages/transport/src/ReadAhead.ts"
import * as EventFraming from "../../../packages/transport/src/rest/EventFraming.ts"
import { mutate } from "../Mutation.ts"
import type { Random } from "../Random.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

const MOST = 1000

/** How the rest is cut: three sizes that take turns. */
const cuts = (random: Random): string => String.fromCharCode(1 + random.below(9), 1 + random.below(40), 1 + random.below(255))

const parts = (input: string): ReadonlyArray<Buffer> => {
  const bytes = bytesOf(input.slice(3))
  const list: Array<Buffer> = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(1, input.charCodeAt(i % 3) & 255)
    list.push(bytes.subarray(at, at + size))
    at += size
  }
  return list
}

const message = (random: Random): string => {
  const text = random.octets(random.below(4) === 0 ? 600 : 30)
  if (random.below(3) > 0) return textOf(GrpcMessage.frame(bytesOf(text), undefined))
  return textOf(
    GrpcMessage.frame(bytesOf(random.below(4) === 0 ? "z".repeat(random.below(5000)) : text), random.pick(["gzip", "deflate"] as const))
  )
}

const read = (encoding: Compression.Encoding | undefined, list: ReadonlyArray<Uint8Array>): string => {
  const reader = new GrpcMessage.Reader(MOST, encoding)
  const seen: Array<string> = []
  for (const part of list) {
    const error = reader.push(part, (bytes) => {
      holds(bytes.length <= MOST, () => `a message of ${bytes.length} bytes`)
      seen.push(textOf(bytes))
    })
    if (error !== undefined) return `${seen.join("|")} failed ${error.code} ${error.message}`
  }
  return `${seen.join("|")} ${reader.idle}`
}

const grpc: Target = {
  name: "grpc-messages",
  share: 0.4,
  law: "messages of gRPC are the same in any cut, and none is longer than the limit, compressed or not",
  make: (random) => {
    let text = ""
    for (let i = 1 + random.below(4); i > 0; i--) text += message(random)
    return cuts(random) + mutate(random, text, ["\0\0\0\0\0", "\x01", "\xff\xff\xff\xff", "\0\0\0\x03\xe8", "\x1f\x8b"], 3)
  },
  run: (input) => {
    const list = parts(input)
    const whole = [Buffer.concat(list)]
    for (const encoding of [undefined, "gzip", "deflate"] as const) {
      const [one, many] = [read(encoding, whole), read(encoding, list)]
      holds(one === many, () => `whole: ${one}\nin parts: ${many}`)
    }
    const envelopes = (chunks: ReadonlyArray<Uint8Array>): string => {
      const reader = new EnvelopeReader(MOST)
      const seen: Array<string> = []
      for (const chunk of chunks) {
        const over = reader.push(chunk, (flags, content) => void seen.push(`${flags}:${textOf(content)}`))
        if (over !== undefined) return `${seen.join("|")} over ${over}`
      }
      return `${seen.join("|")} ${reader.idle}`
    }
    const [one, many] = [envelopes(whole), envelopes(list)]
    holds(one === many, () => `envelopes whole: ${one}\nin parts: ${many}`)
  }
}

const ahead: Target = {
  name: "read-ahead",
  share: 1,
  law: "messages that wait for their reader come in order, whole, whenever they are pulled; no byte is acknowledged twice or never",
  make: (random) => {
    let text = ""
    for (let i = 1 + random.below(30); i > 0; i--)
      text += textOf(GrpcMessage.frame(bytesOf(random.octets(random.below(9) === 0 ? 900 : 20)), undefined))
    return cuts(random) + text
  },
  run: (input) => {
    const list = parts(input)
    const reader = new GrpcMessage.Reader(MOST, undefined)
    let waiting: Array<string> = []
    const pulled: Array<string> = []
    let acknowledged = 0
    const queue = {
      // a queue of three messages, so that a few are enough to fill it
      get isFull() {
        return waiting.length >= 3
      },
      received: (bytes: number) => void (acknowledged += bytes)
    }
    const readAhead = new ReadAhead(
      queue,
      (part) => reader.push(part, (bytes) => void waiting.push(textOf(bytes))) === undefined,
      (input.charCodeAt(0) & 1) === 0
    )
    let ended = false
    const pull = (): void => {
      pulled.push(...waiting)
      waiting = []
      readAhead.resume()
    }
    for (const [i, part] of list.entries()) {
      // the wire reuses its bytes
      const lent = Buffer.from(part)
      readAhead.push(lent)
      lent.fill(0xee)
      if (i % (1 + (input.charCodeAt(1) % 5)) === 0) pull()
    }
    readAhead.end(() => (ended = true))
    for (let i = 0; i <= input.length; i++) pull()
    holds(ended && waiting.length === 0, () => "never ends")
    const expected = read(undefined, [Buffer.concat(list)])
    holds(
      `${pulled.join("|")} ${reader.idle}` === expected || expected.includes("failed"),
      () => `pulled ${pulled.join("|")}, sent ${expected}`
    )
    holds(acknowledged === input.length - 3, () => `${acknowledged} bytes acknowledged of ${input.length - 3}`)
  }
}

const buffer: Target = {
  name: "byte-buffer",
  share: 1,
  law: "bytes come out as they went in, and take at most twice the room of the most of them",
  make: (random) => random.octets(60),
  run: (script) => {
    const bytes = new ByteBuffer()
    let expected = ""
    let peak = 0
    for (let i = 0; i < script.length; i++) {
      const octet = script.charCodeAt(i)
      const part = script.slice(0, octet % 64).repeat(1 + (octet & 3))
      if (octet % 5 === 0) {
        const drop = Math.min(bytes.length, octet)
        bytes.drop(drop)
        expected = expected.slice(drop)
      } else if (octet % 17 === 0) {
        holds(textOf(bytes.take()) === expected, () => "taken")
        expected = ""
      } else {
        bytes.add(bytesOf(part))
        expected += part
      }
      holds(bytes.length === expected.length && textOf(bytes.peek()) === expected, () => `after step ${i}`)
      peak = expected === "" ? 0 : Math.max(peak, expected.length)
      const room = bytes.peek().buffer.byteLength
      holds(room <= 2 * peak, () => `${room} bytes, ${peak} were the most since it was empty`)
    }
  }
}

const EVENTS = [
  "event: message\n",
  "event: error\r\n",
  "data: a\n",
  "data:b\n",
  "data\n",
  "data: \r\n",
  "\n",
  "\r",
  "\r\n",
  ": c\n",
  "id: 1\n",
  "retry: 5\n",
  "data: é\n",
  "\xef\xbb\xbf",
  "data: \xff\n",
  "event\n"
]

const readEvents = (list: ReadonlyArray<Uint8Array>): string => {
  const seen: Array<string> = []
  const reader = new EventFraming.EventReader(MOST, (name, data) => {
    holds(data.length <= MOST, () => `an event of ${data.length} bytes`)
    seen.push(`${name}=${textOf(data)}`)
  })
  for (const part of list) {
    // the wire reuses its bytes
    const lent = Buffer.from(part)
    const ok = reader.push(lent)
    lent.fill(0xee)
    if (!ok) return `${seen.join("|")} too large`
  }
  return seen.join("|")
}

/** The same by the line, as html.spec.whatwg.org section 9.2 has it; names are trimmed, as Kratos does. */
const plainEvents = (text: string): string => {
  const seen: Array<string> = []
  let name = ""
  let data: Array<string> = []
  // what is behind the last line end is no line
  for (const line of text.split(/\r\n|\n|\r/).slice(0, -1)) {
    const [, field = line, value = ""] = /^([^:]*):? ?([^]*)$/.exec(line) ?? []
    if (line === "") {
      if (data.length > 0) seen.push(`${name}=${data.join("\n")}`)
      name = ""
      data = []
    } else if (field === "data") data.push(value)
    else if (field === "event") name = bytesOf(value).toString("utf8").trim()
  }
  return seen.join("|")
}

const events: Target = {
  name: "events",
  share: 1.2,
  law: "server-sent events are the same in any cut; what is written is read back; none is over the limit",
  make: (random) => cuts(random) + mutate(random, random.some(EVENTS, 14), EVENTS, 3),
  run: (input) => {
    const list = parts(input)
    const [one, many] = [readEvents([Buffer.concat(list)]), readEvents(list)]
    // how much of a line that is too long has been looked at depends on the cut
    holds(
      one === many || (one.endsWith("too large") && many.endsWith("too large")) || input.length > MOST,
      () => `whole: ${one}\nin parts: ${many}`
    )
    const text = input.slice(3)
    if (text.length <= MOST) holds(one === plainEvents(text), () => `read as ${one}, is ${plainEvents(text)}`)
    const payload = input.slice(3, 600)
    const back = readEvents([EventFraming.encode("message", bytesOf(payload))])
    holds(back === `message=${payload.replaceAll(/\r\n?/g, "\n")}`, () => `written, then read as ${back}`)
  }
}

export const streams: ReadonlyArray<Target> = [grpc, ahead, buffer, events]
