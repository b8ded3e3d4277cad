/** What ZooKeeper's servers send: frames, the records in them, and whole connections to a client that has asked for something. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Connection from "../../../packages/contrib/zookeeper/src/internal/Connection.ts"
import * as Frames from "../../../packages/contrib/zookeeper/src/internal/Frames.ts"
import { JuteError, Reader, Writer } from "../../../packages/contrib/zookeeper/src/internal/Jute.ts"
import * as Records from "../../../packages/contrib/zookeeper/src/internal/Records.ts"
import { ZookeeperError } from "../../../packages/contrib/zookeeper/src/ZookeeperError.ts"
import * as MemoryDuplex from "../../../packages/transport/src/MemoryDuplex.ts"
import { mutate } from "../Mutation.ts"
import type { Random } from "../Random.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

const MAX = 20_000
const WORDS = ["\0\0\0\0", "\0\0\0\x01", "\xff\xff\xff\xff", "\x7f\xff\xff\xff", "\x80\0\0\0", "\xff\xff\xff\xfe", "\0\0\0\x0e"]

const stat = (to: Writer, random: Random): Writer => {
  for (let i = 0; i < 4; i++) to.long(BigInt(random.below(1000)))
  to.int(random.below(3))
    .int(0)
    .int(0)
    .long(BigInt(random.below(9)))
  return to.int(0).int(0).long(1n)
}

/** A body of each kind that the client reads. */
const bodies: ReadonlyArray<(to: Writer, random: Random) => Writer> = [
  (to) => to,
  (to, random) => stat(to, random),
  (to, random) => stat(to.octets(bytesOf(random.octets(60))), random),
  (to, random) => {
    const count = random.below(6)
    to.int(count)
    for (let i = 0; i < count; i++) to.text(random.octets(12))
    return to
  },
  (to, random) => to.int(2).bool(false).int(0).int(1).bool(false).int(0).text(random.octets(9)).int(-1).bool(true).int(-1),
  (to, random) =>
    to
      .int(-1)
      .bool(false)
      .int(-101)
      .int(random.pick([-101, -2, 0]))
      .int(-1)
      .bool(true)
      .int(-1),
  (to, random) =>
    to
      .int(random.below(5))
      .int(3)
      .text(`/${random.octets(12)}`)
]

const reply = (random: Random, xid: number): Buffer =>
  random
    .pick(bodies)(
      new Writer()
        .int(xid)
        .long(BigInt(random.below(99)))
        .int(random.pick([0, 0, 0, 0, -101, -112])),
      random
    )
    .frame()

const hello = (random: Random): Buffer =>
  new Writer()
    .int(0)
    .int(random.pick([4000, 4000, 4000, 0, -1]))
    .long(BigInt(random.pick([7, 7, 7, 0])))
    .octets(bytesOf(random.octets(16)))
    .bool(false)
    .frame()

const conversation = (random: Random): string => {
  let text = textOf(hello(random))
  for (let xid = 1, i = random.below(8); i > 0; i--) text += textOf(reply(random, random.pick([xid++, xid++, xid++, -1, -2, -4, 99])))
  return String.fromCharCode(random.below(256)) + mutate(random, text, WORDS, 3)
}

/** The frames that come of these parts, and whether the last one was too much. */
const split = (parts: ReadonlyArray<Buffer>): ReadonlyArray<string> => {
  const got: Array<string> = []
  const frames = Frames.make(MAX, (frame) => void got.push(textOf(frame)))
  try {
    for (const part of parts) frames.push(part)
  } catch (error) {
    if (!(error instanceof JuteError)) throw error
    got.push("refused")
  }
  return got
}

const readers: ReadonlyArray<(from: Reader) => unknown> = [
  Records.connectResponse,
  Records.replyHeader,
  Records.stat,
  Records.entry,
  Records.multiCode,
  Records.watcherEvent,
  (from) => from.texts()
]

export const records: Target = {
  name: "zookeeper-records",
  share: 5,
  law: "frames are the same in any cut, and what reads their records throws nothing but that they are malformed",
  make: conversation,
  run: (input) => {
    const bytes = bytesOf(input.slice(1))
    const size = 1 + (input.charCodeAt(0) % 40)
    const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
    const whole = split([bytes])
    holds(JSON.stringify(whole) === JSON.stringify(split(parts)), () => `other frames in parts of ${size}`)
    for (const frame of whole) {
      for (const read of readers) {
        const from = new Reader(bytesOf(frame))
        try {
          read(from)
        } catch (error) {
          if (!(error instanceof JuteError)) throw error
        }
        holds(from.remaining >= 0, () => "read beyond its end")
      }
    }
  }
}

const requests: ReadonlyArray<Connection.Request<unknown>> = [
  { operation: "exists", encode: (xid) => Records.read(xid, Records.Op.exists, "/a", true), decode: (_, from) => Records.stat(from) },
  { operation: "get", encode: (xid) => Records.read(xid, Records.Op.getData, "/a", true), decode: (_, from) => Records.entry(from) },
  { operation: "children", encode: (xid) => Records.read(xid, Records.Op.getChildren, "/a", true), decode: (_, from) => from.texts() },
  {
    operation: "replace",
    encode: (xid) => Records.replace(xid, "/a", 0, new Uint8Array(2), Records.anyone, true),
    decode: (_, from) => Records.multiCode(from)
  }
]

export const connection: Target = {
  name: "zookeeper-connection",
  share: 0.2,
  law: "whatever a server says, each request has an answer or a typed failure once it has hung up",
  make: conversation,
  run: async (input) => {
    const [client, server] = MemoryDuplex.make()
    server.on("error", () => {})
    server.resume()
    const bytes = bytesOf(input.slice(1))
    const cut = input.charCodeAt(0) % (bytes.length + 1)
    const talk = Effect.gen(function* () {
      const open = yield* Connection.open({
        duplex: client,
        session: Records.noSession,
        lastZxid: 0n,
        timeout: 4000,
        digest: undefined,
        maxFrameBytes: MAX,
        onEvent: () => {},
        onZxid: () => {}
      })
      return yield* Effect.forEach(requests, (request) => Effect.exit(open.request(request)), { concurrency: "unbounded" })
    })
    const fiber = Effect.runFork(talk)
    server.write(bytes.subarray(0, cut))
    server.end(bytes.subarray(cut))
    const exit = await Effect.runPromise(Fiber.await(fiber))
    client.destroy()
    const exits: ReadonlyArray<Exit.Exit<unknown, unknown>> = Exit.isSuccess(exit) ? exit.value : [exit]
    for (const one of exits) {
      if (Exit.isSuccess(one)) continue
      const reason = one.cause.reasons[0]
      holds(reason?._tag === "Fail" && reason.error instanceof ZookeeperError, () => `failed with ${String(reason)}`)
    }
  }
}
