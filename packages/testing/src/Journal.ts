/**
 * What both sides of a fleet under test say of its calls. The client side notes each call once, however often it was tried; the server side notes each
 * execution and each finalizer. Calls are known by an id that travels in `x-journal-id`, and nodes by the name that servers answer with in `x-journal-node`.
 *
 * Times are milliseconds since the epoch with fractions, of the clock of the process that notes them: those of one machine can be compared.
 */
import * as Aspect from "@effect-kratos/core/Aspect"
import { Call } from "@effect-kratos/core/Call"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"

export const ID = "x-journal-id"
export const NODE = "x-journal-node"

/** One call, as its caller sees it. */
export interface ClientEntry {
  readonly id: string
  /** May be executed more than once. */
  readonly idempotent: boolean
  /** What kind of call it is, for laws that concern only some. */
  readonly kind: string
  readonly start: number
  /** undefined while it is under way. */
  end: number | undefined
  /** How often it went out, seen from inside of retries. */
  attempts: number
  /** Who answered the last attempt; empty when nobody did. */
  node: string
  /** `ok`, `interrupted`, or the reason or tag of its error. */
  outcome: string
  /** What the error says; empty when there is none. */
  message: string
}

export interface ServerEntry {
  /** `started` and `ended`: an execution; `finalized`: what the handler had to clean up is cleaned up. */
  readonly event: "started" | "ended" | "finalized"
  readonly id: string
  readonly node: string
  readonly at: number
  /** Of `ended`: `ok`, `failed` or `interrupted`. */
  readonly outcome?: string | undefined
}

/** Takes what a server notes. It may not throw, and has to keep it before it returns: the next thing may be the death of the process. */
export type Sink = (entry: ServerEntry) => void

export interface CallOptions {
  /** Default false. */
  readonly idempotent?: boolean | undefined
  /** Default `call`. */
  readonly kind?: string | undefined
}

export interface Journal {
  /** Notes a call. The client that makes it has the aspect `client`, innermost. */
  readonly record: (options?: CallOptions) => <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** All calls so far, in the order in which they began. */
  readonly entries: ReadonlyArray<ClientEntry>
}

/** The call that a fiber is about. */
const Current: Context.Reference<ClientEntry | undefined> = Context.Reference<ClientEntry | undefined>(
  "@effect-kratos/testing/Journal/Current",
  { defaultValue: () => undefined }
)

const nowOf = (clock: Clock.Clock): number => Number(clock.currentTimeNanosUnsafe() / 1000n) / 1000

/** A journal for the caller's side. Ids begin with `prefix`, so that several programs can share servers. */
export const make = (prefix = ""): Journal => {
  const entries: Array<ClientEntry> = []
  const record: Journal["record"] =
    ({ idempotent = false, kind = "call" } = {}) =>
    (call) =>
      Effect.withFiber((fiber) => {
        const clock = fiber.getRef(Clock.Clock)
        const entry = blank(`${prefix}${entries.length}`, kind, idempotent, nowOf(clock))
        entries.push(entry)
        return call.pipe(
          Effect.onExit((exit) =>
            Effect.sync(() => {
              entry.end = nowOf(clock)
              close(entry, exit)
            })
          ),
          Effect.provideService(Current, entry)
        )
      })
  return { record, entries }
}

const blank = (id: string, kind: string, idempotent: boolean, start: number): ClientEntry => ({
  id,
  idempotent,
  kind,
  start,
  end: undefined,
  attempts: 0,
  node: "",
  outcome: "",
  message: ""
})

const close = (entry: ClientEntry, exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isSuccess(exit)) {
    entry.outcome = "ok"
    return
  }
  if (Cause.hasInterruptsOnly(exit.cause)) {
    entry.outcome = "interrupted"
    return
  }
  const error: unknown = Cause.squash(exit.cause)
  entry.outcome = nameOf(error)
  entry.message = error instanceof Error ? error.message : String(error)
}

const nameOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return "failed"
  if ("reason" in error && typeof error.reason === "string" && error.reason !== "") return error.reason
  if ("_tag" in error && typeof error._tag === "string") return error._tag
  return error instanceof Error ? error.name : "failed"
}

/** Of clients: sends the id of the call and counts its attempts. It belongs inside of retries and hedges, last in a stack. */
export const client: Aspect.Aspect = Aspect.observe({
  start: (call, services) => {
    const entry = Context.get(services, Current)
    if (entry === undefined) return undefined
    entry.attempts++
    Metadata.set(call.request, ID, entry.id)
    return entry
  },
  end: (call, _exit, entry) => {
    if (entry !== undefined) entry.node = Metadata.getAll(call.reply, NODE)[0] ?? ""
  }
})

/** Of servers: notes each execution of a call that has an id, and answers with the node's name. First in a stack, so that it sees calls end last. */
export const server = (node: string, sink: Sink): Aspect.Aspect =>
  Aspect.observe({
    start: (call, services) => {
      const id = Metadata.getAll(call.request, ID)[0]
      if (id === undefined) return undefined
      Metadata.set(call.reply, NODE, node)
      sink({ event: "started", id, node, at: nowOf(Context.get(services, Clock.Clock)) })
      return id
    },
    end: (_call, exit, id, services) => {
      if (id === undefined) return
      const outcome = Exit.isSuccess(exit) ? "ok" : Cause.hasInterrupts(exit.cause) ? "interrupted" : "failed"
      sink({ event: "ended", id, node, at: nowOf(Context.get(services, Clock.Clock)), outcome })
    }
  })

/** Runs a handler and notes when what it has to clean up is cleaned up, however it ended. */
export const finalized =
  (node: string, sink: Sink) =>
  <A, E, R>(handler: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Call> =>
    Effect.withFiber((fiber) => {
      const id = Metadata.getAll(Context.getUnsafe(fiber.context, Call).request, ID)[0]
      if (id === undefined) return handler
      const clock = fiber.getRef(Clock.Clock)
      return Effect.ensuring(
        handler,
        Effect.sync(() => sink({ event: "finalized", id, node, at: nowOf(clock) }))
      )
    })

/** Of a handler that calls on: the calls that it makes have the id of the one that it serves, so that each hop notes the same call. */
export const relay = <A, E, R>(handler: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Call> =>
  Effect.flatMap(served, (entry) => Effect.provideService(handler, Current, entry))

/** The same for a handler that answers with a stream of another service. */
export const relayStream = <A, E, R>(replies: Stream.Stream<A, E, R>): Stream.Stream<A, E, R | Call> =>
  Stream.unwrap(Effect.map(served, (entry) => Stream.provideService(replies, Current, entry)))

const served: Effect.Effect<ClientEntry | undefined, never, Call> = Effect.withFiber((fiber) => {
  const id = Metadata.getAll(Context.getUnsafe(fiber.context, Call).request, ID)[0]
  return Effect.succeed(id === undefined ? undefined : blank(id, "relayed", true, nowOf(fiber.getRef(Clock.Clock))))
})
