/**
 * Header blocks of gRPC calls as a real client puts them on the wire: `node:http2` (nghttp2's encoder) is made to send a lap of calls, and its HPACK
 * bytes are kept. A lap may be repeated on one connection for ever: it was recorded with an empty dynamic table, entries are counted from the newest, and
 * what older laps have left behind is evicted first.
 *
 * With `varied` each call has eight more headers, and every repetition writes new values into the recorded bytes, so that no two calls are alike. Values begin
 * with eight symbols whose Huffman codes are the five-bit numbers 0 to 9 (RFC 7541 appendix B), or have them behind something that fills whole bytes.
 */
import { once } from "node:events"
import * as http2 from "node:http2"
import { duplexPair } from "node:stream"

export interface Block {
  readonly bytes: Buffer
  /** Where five bytes of `bytes` are to be replaced, one place a varied header. */
  readonly holes: ReadonlyArray<number>
}

/** How many calls a lap has. */
export const LAP = 256

/** `number` (below 10^8) as eight symbols of five bits. */
export const symbols = (number: number): string => [...String(number).padStart(8, "0")].map((digit) => "012aceiost"[Number(digit)]).join("")

/** Twenty bits for each number of four digits. */
const quads = Uint32Array.from(
  { length: 10_000 },
  (_, n) => (Math.floor(n / 1000) << 15) | ((Math.floor(n / 100) % 10) << 10) | ((Math.floor(n / 10) % 10) << 5) | (n % 10)
)

/** Writes the Huffman code of `symbols(number)`: five bytes. */
export const fill = (target: Uint8Array, offset: number, number: number): void => {
  const high = quads[Math.floor(number / 10_000)]!
  const low = quads[number % 10_000]!
  target[offset] = high >>> 12
  target[offset + 1] = (high >>> 4) & 255
  target[offset + 2] = ((high & 15) << 4) | (low >>> 16)
  target[offset + 3] = (low >>> 8) & 255
  target[offset + 4] = low & 255
}

/**
 * The number in the `header`th hole of the `call`th call of a run. Neighbours share no digits, and the numbers of one header come again after 10^8 calls:
 * the factor is coprime to it, and the product stays exact.
 */
export const number = (call: number, header: number): number => ((call % 100_000_000) * 61_803_399 + header * 12_345_678) % 100_000_000

/** Five headers that a client indexes, as it does by default, and three that it never does, as credentials ask for. */
const varied = (call: number): http2.OutgoingHttpHeaders => {
  const value = (header: number) => symbols(number(call, header))
  return {
    "x-request-id": `${value(0)}-7c1e-4f0a-9d52-3b8e61a07f44`,
    traceparent: `00-${value(1)}a3ce929d0e0e4736c0ffee11-00f067aa0ba902b7-01`,
    "x-b3-spanid": `${value(2)}4bf92f35`,
    "user-agent": `${value(3)} grpc-bench/1.0 (linux; x64)`,
    "x-sent-at": `${value(4)}.417Z`,
    authorization: `Bearer ${value(5)}.eyJzdWIiOiJrcmF0b3MifQ.c2lnbmF0dXJl`,
    "x-session": `${value(6)}-session`,
    "x-idempotency-key": `${value(7)}-0d1f`,
    [http2.sensitiveHeaders]: ["authorization", "x-session", "x-idempotency-key"]
  }
}

/** What `node:http2` sends for a lap of calls to `path`. */
export const record = async (path: string, withVaried: boolean): Promise<ReadonlyArray<Block>> => {
  const server = http2.createServer()
  server.on("stream", (stream) => stream.respond({ ":status": 200 }, { endStream: true }))
  const [client, tap] = duplexPair()
  const [through, accepted] = duplexPair()
  const sent: Array<Buffer> = []
  tap.on("data", (chunk: Buffer) => {
    sent.push(Buffer.from(chunk))
    through.write(chunk)
  })
  through.on("data", (chunk: Buffer) => tap.write(chunk))
  server.emit("connection", accepted)
  const session = http2.connect("http://localhost", { createConnection: () => client })
  const common = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" }
  for (let call = 0; call < LAP; call++) {
    const request = session.request({ ...common, ...(withVaried ? varied(call) : {}) }, { endStream: true })
    request.resume()
    await once(request, "close")
  }
  session.destroy()
  const blocks = headerBlocks(Buffer.concat(sent))
  if (blocks.length !== LAP) throw new Error(`${blocks.length} header blocks were recorded, not ${LAP}`)
  return blocks.map((bytes, call) => ({ bytes, holes: withVaried ? holes(bytes, call) : [] }))
}

/** The header blocks of what a client sends, from its preface on. */
export const headerBlocks = (bytes: Buffer): ReadonlyArray<Buffer> => {
  const found: Array<Buffer> = []
  const HEADERS = 1
  const PRIORITY = 0x20
  for (let at = http2PrefaceLength; at + 9 <= bytes.length;) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    if (bytes[at + 3] === HEADERS) found.push(bytes.subarray(at + 9 + ((bytes[at + 4]! & PRIORITY) === 0 ? 0 : 5), end))
    at = end
  }
  return found
}

const http2PrefaceLength = 24

/** The places of the numbers that `varied` has given to a call. */
const holes = (bytes: Buffer, call: number): ReadonlyArray<number> =>
  Array.from({ length: 8 }, (_, header) => {
    const code = Buffer.alloc(5)
    fill(code, 0, number(call, header))
    const at = bytes.indexOf(code)
    if (at < 0 || bytes.indexOf(code, at + 1) >= 0) throw new Error(`header ${header} of call ${call} is not where it should be`)
    return at
  })
