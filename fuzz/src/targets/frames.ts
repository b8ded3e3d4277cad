/** Conversations on both ends of the HTTP/2 engine: mostly plausible frames, in any chunks, with owners that act in between. */
import { ErrorCode } from "@effect-kratos/http2/ErrorCode"
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import * as F from "../../../packages/http2/test/support/Frames.ts"
import { Exchange, Wire } from "../../../packages/http2/test/support/Wire.ts"
import { mutate } from "../Mutation.ts"
import type { Random } from "../Random.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

const head = HeaderBlock.make([[":status", "200"]])
const trailers = HeaderBlock.make([["x", "y"]])
const post = HeaderBlock.make(F.POST)

const frameOf = (random: Random, response: boolean): Uint8Array => {
  const id = random.below(6) * 2 + random.pick([1, 1, 1, 1, 0])
  const flags = random.pick([0, F.END, F.END])
  const frame = random.pick([
    () => F.headers(id, response ? [[":status", random.pick(["200", "100", "204"])]] : random.pick([F.GET, F.POST]), flags),
    () => F.headers(id, [...(response ? [[":status", "200"] as const] : F.POST), ["content-length", String(random.below(20))]], flags),
    () => F.headers(id, [["x-a", random.octets(30)]], F.END),
    () => F.frame(1, flags | 4, id, bytesOf(random.octets(40))),
    () => F.frame(1, 0, id, F.rawBlock(response ? [[":status", "200"]] : F.GET).subarray(0, 5)),
    () => F.frame(9, random.pick([0, 4]), id, F.rawBlock(response ? [[":status", "200"]] : F.GET).subarray(5)),
    () => F.frame(1, flags | 0x2c, id, [2, 0, 0, 0, random.below(4), 9, ...F.rawBlock(response ? [[":status", "200"]] : F.POST), 0, 0]),
    () => F.data(id, random.octets(200), flags),
    () => F.data(id, new Uint8Array(random.below(20_000)), flags),
    () => F.frame(0, 8 | flags, id, [random.below(6), 1, 2, 3, 4]),
    () => F.reset(id, random.below(14)),
    () => F.windowUpdate(random.pick([id, 0]), random.pick([0, 1, 1000, 100_000, 0x7fffffff])),
    () =>
      F.settings(
        ...Array.from({ length: random.below(3) }, () => [random.below(9), random.pick([0, 1, 100, 16_384, 100_000, 0xffffffff])] as const)
      ),
    () => F.SETTINGS_ACK,
    () => F.ping(undefined, random.below(2)),
    () => F.goAway(random.below(9), random.below(3)),
    () => F.frame(2, 0, id, [0, 0, 0, random.below(4), 1]),
    () => F.frame(random.below(12), random.below(256), id, bytesOf(random.octets(20)))
  ])()
  return random.below(10) === 0 ? bytesOf(mutate(random, textOf(frame), [], 2)) : frame
}

/** What the owner does, or that so many octets come: a script is a list of steps, each an octet, a length of two and that many octets. */
const step = (what: number, text: string): string => String.fromCharCode(what, text.length >>> 8, text.length & 255) + text
const DELIVER = 0
const ACTS = 9

const makeScript = (random: Random, acts: boolean): string => {
  const response = random.below(2) === 1
  let script = String.fromCharCode((random.below(256) & ~1) | (response ? 1 : 0))
  for (let i = 1 + random.below(25); i > 0; i--) {
    if (acts && random.below(2) === 0) script += step(1 + random.below(ACTS), String.fromCharCode(random.below(256), random.below(256)))
    let chunk = ""
    for (let k = 1 + random.below(3); k > 0; k--) chunk += textOf(frameOf(random, response))
    const cut = random.below(chunk.length + 1)
    script += step(DELIVER, chunk.slice(0, cut)) + step(DELIVER, chunk.slice(cut))
  }
  return script
}

const each = (script: string, visit: (what: number, text: string) => void): void => {
  for (let at = 1; at + 3 <= script.length;) {
    const length = (script.charCodeAt(at + 1) << 8) | (script.charCodeAt(at + 2) & 255)
    visit(script.charCodeAt(at) % (ACTS + 1), script.slice(at + 3, at + 3 + length))
    at += 3 + length
  }
}

/** Small limits, so that a short conversation meets them. */
const options = (octet: number) =>
  (octet & 2) === 0
    ? {}
    : {
        maxConcurrentStreams: 3,
        initialWindowSize: 1000,
        highWaterMark: 500,
        maxIdleFrames: 20,
        maxResets: 3,
        maxHeaderListSize: 300,
        connectionWindowSize: 65_535,
        headerTableSize: (octet & 4) * 32
      }

const open = (octet: number) => {
  const exchanges: Array<Exchange> = []
  const wire = (octet & 1) === 0 ? Wire.server(options(octet)) : Wire.client(options(octet))
  const heard = "exchanges" in wire ? wire.exchanges : exchanges
  wire.run()
  wire.bytes()
  if ((octet & 8) === 0) wire.send(...((octet & 1) === 0 ? [F.PREFACE] : []), F.settings(), F.SETTINGS_ACK)
  const request = (size: number, end: boolean): void => {
    if (!("request" in wire.connection)) return
    const exchange = new Exchange()
    heard.push(Object.assign(exchange, { stream: wire.connection.request(post, exchange, Buffer.alloc(size), end) }))
  }
  return { wire, heard, request }
}

type Opened = ReturnType<typeof open>

const act = ({ heard, request, wire }: Opened, what: number, a: number, b: number): void => {
  const stream = heard[a % Math.max(1, heard.length)]?.stream
  switch (what) {
    case 1:
      return stream?.respond(head, Buffer.alloc(b * 300), (b & 1) === 0 ? undefined : trailers)
    case 2:
      return stream?.reset(ErrorCode.CANCEL)
    case 3:
      return void stream?.data(Buffer.alloc(b * 200), (b & 1) === 0)
    case 4:
      wire.duplex.open = (a & 1) === 0
      return
    case 5:
      return wire.drain()
    case 6:
      return request(b * 300, (a & 1) === 0)
    case 7:
      return stream?.headers(head, (b & 7) === 0)
    case 8:
      return stream?.trailers(trailers)
    case 9:
      if (b > 240) wire.connection.shutdown()
      else if (b > 230) wire.connection.ping(() => {})
      else stream?.consumed(b * 10)
  }
}

/** Streams' windows and queues, a block, tables; what the owner queues by `data` and `respond` in one script is below 2 MB. */
const BOUND = 8_000_000

const settle = ({ heard, wire }: Opened): ReadonlyArray<string> => {
  wire.time += 1
  const said = F.show(wire.frames())
  holds(
    !said.some((line) => line.startsWith("GOAWAY") && line.endsWith(` ${ErrorCode.INTERNAL_ERROR}`)),
    () => `INTERNAL_ERROR: ${said.join()}`
  )
  if (wire.connection.closed) holds(wire.connection.openStreams === 0, () => "streams outlive their connection")
  wire.duplex.destroy()
  holds(wire.closes.length === 1, () => `closed ${wire.closes.length} times`)
  const error = wire.closes[0]
  holds(error === undefined || /^(?:ConnectionError|Error)$/.test(error.name), () => `closed with ${error?.stack}`)
  for (const { events } of heard) {
    const ends = events.filter((event) => / end$|^trailers|^abort/.test(event))
    const first = events.findIndex((event) => / end$|^trailers|^abort/.test(event))
    holds(events.filter((event) => event.startsWith("abort")).length <= 1, () => `aborted twice: ${events.join()}`)
    holds(
      ends.length === 0 || events.slice(first + 1).every((event) => event.startsWith("abort")),
      () => `goes on behind its end: ${events.join()}`
    )
  }
  return said
}

export const frames: Target = {
  name: "frames",
  share: 2,
  law: "the engine ends a connection in order or goes on, tells each owner of one end, writes whole frames, holds no more than its bounds",
  make: (random) => {
    const script = makeScript(random, true)
    return random.below(10) === 0 ? mutate(random, script) : script
  },
  run: (script) => {
    const opened = open(script.charCodeAt(0))
    const { wire } = opened
    each(script, (what, text) => {
      if (what !== DELIVER) act(opened, what, text.charCodeAt(0) & 255, text.charCodeAt(1) & 255)
      else if (!wire.connection.closed) wire.send(bytesOf(text))
      holds(wire.connection.heldBytes <= BOUND, () => `${wire.connection.heldBytes} bytes held`)
      holds(wire.connection.heldBytes >= 0, () => `${wire.connection.heldBytes} bytes held`)
    })
    settle(opened)
  }
}

/** Events with the parts of a body joined. */
const joined = (heard: ReadonlyArray<Exchange>): string =>
  heard
    .map(({ events, received }) =>
      [...events.filter((event) => !event.startsWith("data")), received, events.some((event) => /^data[^]* end$/.test(event))].join()
    )
    .join("\n")

/** The peer hears the same; when windows are opened depends on the chunks. */
const words = (said: ReadonlyArray<string>): string => said.filter((line) => !line.startsWith("WINDOW_UPDATE")).join("\n")

export const chunks: Target = {
  name: "frame-chunks",
  share: 0.3,
  law: "what owners and peer hear does not depend on how the bytes are cut",
  make: (random) => makeScript(random, false),
  run: (script) => {
    let whole = ""
    each(script, (what, text) => (whole += what === DELIVER ? text : ""))
    const hear = (cut: (bytes: Buffer, send: (part: Buffer) => void) => void): string => {
      const opened = open(script.charCodeAt(0))
      if ((script.charCodeAt(0) & 1) === 1) for (let i = 0; i < 4; i++) opened.request(10, (i & 1) === 0)
      opened.wire.run()
      opened.wire.bytes()
      cut(bytesOf(whole), (part) => opened.wire.connection.closed || opened.wire.send(part))
      const closed = opened.wire.connection.closed
      const said = settle(opened)
      return `${closed}\n${joined(opened.heard)}\n${words(said)}`
    }
    const inOne = hear((bytes, send) => send(bytes))
    const byScript = hear((_, send) => each(script, (what, text) => what === DELIVER && text !== "" && send(bytesOf(text))))
    holds(inOne === byScript, () => `whole:\n${inOne}\nin parts:\n${byScript}`)
    if (whole.length > 3000) return
    const byByte = hear((bytes, send) => {
      for (let i = 0; i < bytes.length; i++) send(bytes.subarray(i, i + 1))
    })
    holds(inOne === byByte, () => `whole:\n${inOne}\nbyte by byte:\n${byByte}`)
  }
}
