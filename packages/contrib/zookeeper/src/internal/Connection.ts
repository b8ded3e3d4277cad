/** One connection to one server: the handshake, answers in the order of their requests, events, and signs of life. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Duplex } from "node:stream"
import { ofCode, ZookeeperError } from "../ZookeeperError.ts"
import * as Frames from "./Frames.ts"
import { JuteError, Reader } from "./Jute.ts"
import * as Records from "./Records.ts"

export interface Options {
  /** Owned by the caller. */
  readonly duplex: Duplex
  /** The session to go on with, or `Records.noSession`. */
  readonly session: Records.Session
  readonly lastZxid: bigint
  /** Of the session, in milliseconds; the server has the last word. */
  readonly timeout: number
  /** `user:password` for the scheme `digest`. */
  readonly digest: string | undefined
  readonly maxFrameBytes: number
  readonly onEvent: (event: Records.WatcherEvent) => void
  readonly onZxid: (zxid: bigint) => void
}

/** One exchange: what it is called in errors, its octets, and what its answer means. */
export interface Request<A> {
  readonly operation: string
  readonly encode: (xid: number) => Buffer
  /** Runs when the answer is read, before anything that comes after it. May throw `JuteError`. */
  readonly decode: (code: number, from: Reader) => A | ZookeeperError
}

export interface Connection {
  readonly connected: Records.Connected
  readonly request: <A>(request: Request<A>) => Effect.Effect<A, ZookeeperError>
  /** Ends the session; returns when the server has done so. */
  readonly closeSession: Effect.Effect<void, ZookeeperError>
  /** Fails when the connection ends. Sends signs of life, and misses those of the server, while it runs. */
  readonly run: Effect.Effect<never, ZookeeperError>
}

interface Pending {
  readonly xid: number
  readonly answer: (code: number, from: Reader) => void
  readonly lose: (error: ZookeeperError) => void
}

/** The server does not know the session any more. */
export const isExpired = (connected: Records.Connected): boolean => connected.timeout <= 0 || connected.id === 0n

/** Returns after the handshake: with a session, or with one that has expired. */
export const open = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Connection, ZookeeperError> {
  const { digest, duplex, maxFrameBytes, onEvent, onZxid } = options
  const ended = yield* Deferred.make<never, ZookeeperError>()
  const handshake = yield* Deferred.make<Records.Connected, ZookeeperError>()
  const authenticated = yield* Deferred.make<void, ZookeeperError>()
  const pending: Array<Pending> = []
  /** Index of the oldest: a queue that shifts only now and then. */
  let first = 0
  let shaken = false
  let error: ZookeeperError | undefined
  let xid = 0
  /** Ticks of a sixth of the time-out since something came, and since something was sent. */
  let silent = 0
  let quiet = 0

  const lose = (cause: ZookeeperError): void => {
    if (error !== undefined) return
    error = cause
    duplex.destroy()
    for (const one of pending.splice(0).slice(first)) one.lose(cause)
    first = 0
    Deferred.doneUnsafe(handshake, Effect.fail(cause))
    Deferred.doneUnsafe(authenticated, Effect.fail(cause))
    Deferred.doneUnsafe(ended, Effect.fail(cause))
  }
  const lost = (detail: string, reason: ZookeeperError["reason"] = "ConnectionLoss") =>
    lose(new ZookeeperError({ operation: "connection", reason, detail }))

  const send = (frame: Buffer): void => {
    quiet = 0
    duplex.write(frame)
  }

  const onFrame = (frame: Buffer): void => {
    if (error !== undefined) return
    const from = new Reader(frame)
    if (!shaken) {
      shaken = true
      const connected = Records.connectResponse(from)
      if (digest !== undefined && !isExpired(connected)) send(Records.auth("digest", digest))
      else Deferred.doneUnsafe(authenticated, Effect.void)
      return void Deferred.doneUnsafe(handshake, Effect.succeed(connected))
    }
    const { code, xid, zxid } = Records.replyHeader(from)
    if (xid === Records.Xid.event) return onEvent(Records.watcherEvent(from))
    if (xid === Records.Xid.ping) return
    if (xid === Records.Xid.auth) {
      if (code === Records.Code.ok) Deferred.doneUnsafe(authenticated, Effect.void)
      else lose(ofCode("authentication", code))
      return
    }
    if (zxid > 0n) onZxid(zxid)
    const next = pending[first]
    if (next?.xid !== xid) throw new JuteError(`an answer to request ${xid} where ${next?.xid ?? "none"} is due`)
    first += 1
    if (first >= 1024 || first === pending.length) {
      pending.splice(0, first)
      first = 0
    }
    next.answer(code, from)
  }
  const frames = Frames.make(maxFrameBytes, onFrame)
  duplex.on("data", (chunk: Buffer) => {
    silent = 0
    try {
      frames.push(chunk)
    } catch (cause) {
      lost(cause instanceof JuteError ? `what came is not ZooKeeper: ${cause.message}` : String(cause), "Protocol")
    }
  })
  duplex.on("error", (cause) => lost(cause.message))
  duplex.on("close", () => lost("the server closed the connection"))
  duplex.on("end", () => lost("the server closed the connection"))

  const exchange = (operation: string, encode: (xid: number) => Buffer, answer: Pending["answer"], lose: Pending["lose"]): void => {
    if (error !== undefined) return lose(error)
    xid = xid === 0x7fffffff ? 1 : xid + 1
    const own = xid
    pending.push({
      xid: own,
      answer,
      lose: ({ detail, reason }) => lose(new ZookeeperError({ operation, reason, detail }))
    })
    send(encode(own))
  }
  const request = <A>({ decode, encode, operation }: Request<A>): Effect.Effect<A, ZookeeperError> =>
    // who is interrupted leaves its place in the queue to the answer
    Effect.callback((resume) =>
      exchange(
        operation,
        encode,
        (code, from) => {
          try {
            const result = decode(code, from)
            resume(result instanceof ZookeeperError ? Effect.fail(result) : Effect.succeed(result))
          } catch (cause) {
            resume(Effect.fail(new ZookeeperError({ operation, reason: "Protocol", detail: String(cause) })))
            throw cause
          }
        },
        (error) => resume(Effect.fail(error))
      )
    )

  send(Records.connectRequest(options.session, options.lastZxid, options.timeout))
  const connected = yield* Deferred.await(handshake)
  yield* Deferred.await(authenticated)

  const beat = Effect.sync(() => {
    silent += 1
    quiet += 1
    // two thirds of the time-out without a word: a third is left to find another server before the session expires
    if (silent > 4) lost(`no sign of life within ${Math.round((connected.timeout * 4) / 6)} ms`)
    else if (quiet >= 2) send(Records.ping())
  })
  return {
    connected,
    request,
    closeSession: request({ operation: "closeSession", encode: Records.closeSession, decode: () => undefined }),
    run: Effect.raceFirst(Deferred.await(ended), Effect.forever(Effect.delay(beat, Math.max(1, connected.timeout / 6))))
  }
})
