/** HPACK against a second reader, and our writer against both. */
import { ConnectionError } from "@effect-kratos/http2/ConnectionError"
import { ErrorCode } from "@effect-kratos/http2/ErrorCode"
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import { REQUEST, RESPONSE, TOO_LARGE, type Headers } from "@effect-kratos/http2/Headers"
import { HpackDecoder } from "../../../packages/http2/src/internal/HpackDecoder.ts"
import { HpackEncoder } from "../../../packages/http2/src/internal/HpackEncoder.ts"
import { type Field, HpackOracle, OracleError } from "../HpackOracle.ts"
import { mutate } from "../Mutation.ts"
import type { Random } from "../Random.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

const LIST = 4096
const names = ["a", "x-long-name", "cookie", "te", ":path", ":method", ":status", "content-length", "host", "grpc-timeout", "X-Up", ""]
const values = ["", "1", "trailers", "/", "GET", "200", "application/grpc", "12", "a b", " x", "caf\xe9", "\0"]

const fieldsOf = (random: Random): ReadonlyArray<readonly [string, string]> => {
  const list: Array<readonly [string, string]> = []
  for (let i = random.below(8); i > 0; i--) list.push([random.pick(names), random.below(3) === 0 ? random.octets(60) : random.pick(values)])
  return [
    ...random.pick([
      [],
      [
        [":method", "GET"],
        [":scheme", "http"],
        [":path", "/"]
      ] as const,
      [[":status", "200"]] as const
    ]),
    ...list
  ]
}

/** One instruction of RFC 7541, section 6. */
const instruction = (random: Random): string => {
  const integer = (flags: number, bits: number, value: number): string => {
    const mask = 2 ** bits - 1
    if (value < mask) return String.fromCharCode(flags | value)
    let text = String.fromCharCode(flags | mask)
    let rest = value - mask
    for (; rest >= 128; rest >>>= 7) text += String.fromCharCode((rest & 127) | 128)
    return text + String.fromCharCode(rest)
  }
  const string = (value: string): string => integer(0, 7, value.length) + value
  switch (random.below(6)) {
    case 0:
      return integer(0x80, 7, random.below(70))
    case 1:
      return integer(0x20, 5, random.pick([0, 30, 31, 64, 200, 4096, 4097]))
    case 2:
      return integer(random.pick([0x40, 0, 0x10]), random.pick([6, 4]), random.below(66)) + string(random.pick(values))
    case 3:
      return `\x40${string(random.pick(names))}${string(random.octets(80))}`
    case 4:
      return `\x40\x01h${integer(0x80, 7, 12)}${random.octets(12)}`
    default:
      return integer(0x80, 7, 2 + random.below(10))
  }
}

/** Blocks one after the other, each behind a length of two octets. */
const joined = (blocks: ReadonlyArray<string>): string =>
  blocks.map((block) => String.fromCharCode(block.length >>> 8, block.length & 255) + block).join("")

const split = (input: string): ReadonlyArray<Buffer> => {
  const bytes = bytesOf(input)
  const blocks: Array<Buffer> = []
  for (let at = 0; at + 2 <= bytes.length;) {
    const end = at + 2 + bytes.readUInt16BE(at)
    blocks.push(bytes.subarray(at + 2, end))
    at = end
  }
  return blocks
}

/** The fields that `Headers` shows apart, put back. */
const shown = (headers: Headers): ReadonlyArray<string> => {
  const list: Array<string> = []
  if (headers.method !== "") list.push(":method", headers.method)
  if (headers.path !== "") list.push(":path", headers.path)
  if (headers.scheme !== "") list.push(":scheme", headers.scheme)
  if (headers.authority !== "") list.push(":authority", headers.authority)
  if (headers.status !== 0) list.push(":status", String(headers.status))
  return [...list, ...headers.fields]
}

/** The same of a plain list: pseudo fields in that order, cookies joined. */
const normal = (fields: ReadonlyArray<Field>): ReadonlyArray<string> => {
  const list: Array<string> = []
  for (const name of [":method", ":path", ":scheme", ":authority", ":status"]) {
    const value = fields.find(([other]) => other === name)?.[1] ?? ""
    if (value !== "") list.push(name, value)
  }
  let cookie = -1
  for (const [name, value] of fields) {
    if (name.startsWith(":")) continue
    if (name === "cookie" && cookie >= 0) list[cookie] += `; ${value}`
    else {
      list.push(name, value)
      if (name === "cookie") cookie = list.length - 1
    }
  }
  return list
}

const compare = (decoder: HpackDecoder, oracle: HpackOracle, block: Buffer): Headers | undefined => {
  let expected: ReadonlyArray<Field> | undefined
  let why = ""
  try {
    expected = oracle.decode(block)
  } catch (error) {
    if (!(error instanceof OracleError)) throw error
    why = error.message
  }
  let headers: Headers
  try {
    headers = decoder.decode(block, 0, block.length)
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error
    if (error.code === ErrorCode.ENHANCE_YOUR_CALM) return undefined
    holds(error.code === ErrorCode.COMPRESSION_ERROR, () => `code ${error.code}`)
    holds(expected === undefined, () => `refused (${error.message}) what is ${JSON.stringify(expected)}`)
    return undefined
  }
  holds(expected !== undefined, () => `read as ${JSON.stringify(shown(headers))} what is none: ${why}`)
  const size = expected!.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0)
  holds(((headers.flags & TOO_LARGE) !== 0) === size > LIST, () => `a list of ${size} bytes has flags ${headers.flags}`)
  if ((headers.flags & (REQUEST | RESPONSE)) === 0) return headers
  const [ours, theirs] = [shown(headers), normal(expected!)].map((list) => JSON.stringify(list))
  holds(ours === theirs, () => `read as ${ours}, is ${theirs}`)
  return headers
}

export const decoding: Target = {
  name: "hpack",
  share: 2.5,
  law: "a block is read as a second reader reads it, or both refuse it; no list or table grows over its limit",
  make: (random) => {
    const blocks: Array<string> = []
    const encoder = new HpackEncoder(4096)
    for (let i = 1 + random.below(5); i > 0; i--) {
      if (random.below(3) === 0) {
        let block = ""
        for (let k = random.below(8); k > 0; k--) block += instruction(random)
        blocks.push(block)
      } else {
        const length = encoder.encode(HeaderBlock.make(fieldsOf(random), { reuse: random.below(2) === 0 }))
        const block = textOf(encoder.bytes.subarray(0, length))
        blocks.push(block, ...(random.below(3) === 0 ? [block] : []))
      }
      if (random.below(3) === 0) blocks.push(mutate(random, blocks.at(-1)!))
    }
    return joined(blocks)
  },
  run: (input) => {
    const decoder = new HpackDecoder(4096, LIST)
    const oracle = new HpackOracle(4096)
    for (const block of split(input)) {
      if (compare(decoder, oracle, block) === undefined) return
      holds(decoder.table.size <= decoder.table.maxSize, () => `table of ${decoder.table.size}`)
    }
  }
}

/** Pairs of names and values, with changes of the peer's table size in between. */
export const roundTrip: Target = {
  name: "hpack-round-trip",
  share: 1,
  law: "what our writer writes, with any table size, both readers read back",
  make: (random) =>
    JSON.stringify(
      Array.from({ length: 1 + random.below(8) }, () =>
        random.below(4) === 0 ? random.pick([0, 40, 100, 4096, 100_000]) : [random.below(3), fieldsOf(random)]
      )
    ),
  run: (input) => {
    // made above
    const steps = JSON.parse(input) as ReadonlyArray<number | readonly [number, ReadonlyArray<readonly [string, string]>]>
    const encoder = new HpackEncoder(4096)
    const decoder = new HpackDecoder(4096, LIST * 16)
    const oracle = new HpackOracle(4096)
    for (const step of steps) {
      if (typeof step === "number") {
        encoder.setPeerLimit(step)
        continue
      }
      const [kind, fields] = step
      const base = HeaderBlock.make(fields.slice(0, 3), { sensitive: ["a"] })
      const block =
        kind === 0 ? HeaderBlock.make(fields) : kind === 1 ? HeaderBlock.make(fields, { reuse: false }) : base.extend(fields.slice(3))
      for (let twice = 0; twice < 2; twice++) {
        const length = encoder.encode(block)
        const bytes = Buffer.from(encoder.bytes.subarray(0, length))
        const list = oracle.decode(bytes)
        const sent = [...(kind === 2 ? base.fields : []), ...block.fields].map(({ name, value }) => [name, value])
        holds(JSON.stringify(list) === JSON.stringify(sent), () => `sent ${JSON.stringify(sent)}, read ${JSON.stringify(list)}`)
        decoder.decode(bytes, 0, bytes.length)
      }
    }
  }
}
