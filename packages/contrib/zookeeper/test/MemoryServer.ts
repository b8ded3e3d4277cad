/** The server's end of the protocol, in memory: a test says what it answers. */
import * as Network from "@effect-kratos/transport/Network"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Duplex } from "node:stream"
import * as Frames from "../src/internal/Frames.ts"
import { Reader, Writer } from "../src/internal/Jute.ts"
import { Op } from "../src/internal/Records.ts"

export interface Hello {
  readonly lastZxid: bigint
  readonly timeout: number
  readonly session: bigint
}

export interface Asked {
  readonly xid: number
  readonly op: number
  readonly path: string
}

export interface Peer {
  readonly hello: Hello
  /** Agrees to a session; 0n says that the one that was asked for has expired. */
  readonly welcome: (session: bigint, timeout?: number) => Effect.Effect<void>
  /** The next request; of those without a path, with an empty one. */
  readonly asked: Effect.Effect<Asked>
  readonly answer: (xid: number, code: number, body?: (to: Writer) => void, zxid?: bigint) => Effect.Effect<void>
  readonly send: (bytes: Buffer) => Effect.Effect<void>
  readonly close: Effect.Effect<void>
  readonly closed: () => boolean
  /** Whether it was asked to end the session, which it does by itself. */
  readonly ended: () => boolean
}

const pathless: ReadonlySet<number> = new Set([Op.ping, Op.auth, Op.multi])

/** A network in memory with one server at `zk:2181`, and the connections that come to it, each as soon as it has said what session it wants. */
export const make = Effect.gen(function* () {
  const network = Network.makeMemory()
  const peers = yield* Queue.unbounded<Peer>()

  const serve = (duplex: Duplex): void => {
    const requests = Effect.runSync(Queue.unbounded<Asked>())
    let greeted = false
    let ended = false
    const send = (bytes: Buffer) => Effect.sync(() => void duplex.write(bytes))
    const frames = Frames.make(1_000_000, (frame) => {
      const from = new Reader(frame)
      if (greeted) {
        const [xid, op] = [from.int(), from.int()]
        if (op === Op.closeSession) {
          ended = true
          return void duplex.write(new Writer().int(xid).long(1n).int(0).frame())
        }
        return void Queue.offerUnsafe(requests, { xid, op, path: pathless.has(op) ? "" : from.text() })
      }
      greeted = true
      from.int()
      const hello = { lastZxid: from.long(), timeout: from.int(), session: from.long() }
      Queue.offerUnsafe(peers, {
        hello,
        welcome: (session, timeout = session === 0n ? 0 : hello.timeout) =>
          send(new Writer().int(0).int(timeout).long(session).octets(new Uint8Array(16)).bool(false).frame()),
        asked: Queue.take(requests),
        answer: (xid, code, body, zxid = 1n) => {
          const to = new Writer().int(xid).long(zxid).int(code)
          body?.(to)
          return send(to.frame())
        },
        send,
        close: Effect.sync(() => void duplex.destroy()),
        closed: () => duplex.destroyed || duplex.readableEnded,
        ended: () => ended
      })
    })
    duplex.on("error", () => undefined)
    duplex.on("data", (chunk: Buffer) => frames.push(chunk))
  }
  yield* network.listen({ host: "zk", port: 2181 }, ({ duplex }) => serve(duplex))
  return { network, next: Queue.take(peers) }
})

/** The body of an answer that tells of a node. */
export const stat =
  (ephemeralOwner: bigint) =>
  (to: Writer): void => {
    to.long(1n).long(1n).long(0n).long(0n).int(0).int(0).int(0).long(ephemeralOwner).int(0).int(0).long(1n)
  }
