/** The contract `test.v1.Echo` as its comments say it, with a journal of what became of each call. */
import * as Call from "@effect-kratos/core/Call"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { Echo } from "./gen/test/v1/echo_effect.ts"
import type { EchoRequest } from "./gen/test/v1/echo_pb.ts"
import { QuotaExhausted, Teapot, ThingNotFound } from "./gen/test/v1/reason_effect.ts"

/** How many calls are in progress, were done, were interrupted. */
export class Journal extends Context.Service<
  Journal,
  { readonly open: Ref.Ref<number>; readonly done: Ref.Ref<number>; readonly interrupted: Ref.Ref<number> }
>()("test/Journal") {
  static readonly layer = Layer.effect(Journal, Effect.all({ open: Ref.make(0), done: Ref.make(0), interrupted: Ref.make(0) }))
}

const follow = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Journal> =>
  Effect.gen(function* () {
    const journal = yield* Journal
    yield* Ref.update(journal.open, (n) => n + 1)
    return yield* effect.pipe(
      Effect.onInterrupt(() => Ref.update(journal.interrupted, (n) => n + 1)),
      Effect.ensuring(
        Effect.andThen(
          Ref.update(journal.open, (n) => n - 1),
          Ref.update(journal.done, (n) => n + 1)
        )
      )
    )
  })

const failure = (request: EchoRequest): Effect.Effect<void, ThingNotFound | QuotaExhausted | Teapot> => {
  const props = { message: `failed as asked: ${request.failReason}`, metadata: { text: request.text } }
  switch (request.failReason) {
    case "":
      return Effect.void
    case "THING_NOT_FOUND":
      return Effect.fail(new ThingNotFound(props))
    case "QUOTA_EXHAUSTED":
      return Effect.fail(new QuotaExhausted(props))
    case "TEAPOT":
      return Effect.fail(new Teapot(props))
    default:
      return Effect.die(new Error(`secret: ${request.failReason}`))
  }
}

const metadata = (request: EchoRequest) =>
  Effect.gen(function* () {
    const call = yield* Call.Call
    const found: Record<string, string> = {}
    for (const name of request.echoMetadata) {
      const values = call.request.get(name)
      if (values === undefined) continue
      found[name] = values.join(",")
      yield* Call.setReplyHeader(name, values[0]!)
      yield* Call.setReplyTrailer(`${name.endsWith("-bin") ? "trailer-bin" : "trailer"}`, values[0]!)
    }
    return found
  })

const wait = (request: EchoRequest) => (request.delayMs > 0 ? Effect.sleep(request.delayMs) : Effect.void)

const one = (request: EchoRequest) =>
  follow(
    Effect.gen(function* () {
      const found = yield* metadata(request)
      yield* wait(request)
      yield* failure(request)
      return { text: request.text, payload: request.payload, metadata: found }
    })
  )

const many = (request: EchoRequest) =>
  Stream.unwrap(
    Effect.map(metadata(request), (found) =>
      Stream.range(0, Math.max(1, request.count) - 1).pipe(
        Stream.mapEffect((index) => Effect.as(wait(request), { text: request.text, payload: request.payload, index, metadata: found })),
        Stream.concat(Stream.fromEffectDrain(failure(request)))
      )
    )
  )

export const EchoLive = Echo.layer({
  unary: one,
  old: one,
  serverStream: (request) => Stream.unwrap(Effect.map(Journal, (journal) => tracked(journal, many(request)))),
  *clientStream(requests) {
    const journal = yield* Journal
    const all = yield* tracked(journal, requests).pipe(Stream.runCollect)
    for (const request of all) yield* failure(request)
    return {
      text: all.map((request) => request.text).join(","),
      payload: Buffer.concat(all.map((request) => request.payload)),
      index: all.length
    }
  },
  bidi: (requests) => Stream.unwrap(Effect.map(Journal, (journal) => tracked(journal, Stream.flatMap(requests, many))))
})

const tracked = <A, E, R>(journal: Journal["Service"], stream: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
  Stream.unwrap(
    Effect.as(
      Ref.update(journal.open, (n) => n + 1),
      stream
    )
  ).pipe(
    Stream.onExit((exit) =>
      Effect.gen(function* () {
        yield* Ref.update(journal.open, (n) => n - 1)
        yield* Ref.update(journal.done, (n) => n + 1)
        if (exit._tag === "Failure" && exit.cause.reasons.some((reason) => reason._tag === "Interrupt"))
          yield* Ref.update(journal.interrupted, (n) => n + 1)
      })
    )
  )
