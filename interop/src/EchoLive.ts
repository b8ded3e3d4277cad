/** Our implementation of `test.v1.Echo`, with the conventions that the readme sets for every peer. */
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Echo } from "./gen/test/v1/echo_effect.ts"
import type { EchoRequest } from "./gen/test/v1/echo_pb.ts"
import { QuotaExhausted, Teapot, ThingNotFound } from "./gen/test/v1/reason_effect.ts"

/** A call whose text starts so asks how many calls of the text behind it were interrupted. */
export const askInterrupted = "@interrupted:"

/** How many calls were interrupted, by text. */
export class Interrupted extends Context.Service<Interrupted, Map<string, number>>()("@effect-kratos/interop/Interrupted") {
  static readonly layer = Layer.sync(Interrupted, () => new Map())
}

const wait = (request: EchoRequest) =>
  request.delayMs <= 0
    ? Effect.void
    : Effect.onInterrupt(Effect.sleep(request.delayMs), () =>
        Interrupted.use((counts) => Effect.sync(() => counts.set(request.text, (counts.get(request.text) ?? 0) + 1)))
      )

const reasons = [ThingNotFound, QuotaExhausted, Teapot]

const failure = ({ failReason: reason, text }: EchoRequest) => {
  if (reason === "") return Effect.void
  const Class = reasons.find((known) => known.reason === reason)
  const props = { message: `${reason}: ${text}`, metadata: { text } }
  return Effect.fail(Class === undefined ? KratosError.make(500, reason, props.message, { metadata: props.metadata }) : new Class(props))
}

/** Returns the metadata asked for three ways: in the message, as headers and as trailers. */
const returned = (names: ReadonlyArray<string>) =>
  Effect.map(Call, (call) => {
    const inMessage: Record<string, string> = {}
    for (const name of names) {
      const values = Metadata.getAll(call.request, name)
      for (const value of values) {
        Metadata.add(call.reply, `echo-${name}`, value)
        Metadata.add(call.trailers, `trailer-${name}`, value)
      }
      if (values.length > 0) inMessage[name] = values.map((value) => (name.endsWith("-bin") ? value.replace(/=+$/, "") : value)).join(",")
    }
    return inMessage
  })

const unary = Effect.fnUntraced(function* (request: EchoRequest) {
  const { payload, text } = request
  if (text.startsWith(askInterrupted)) {
    const counts = yield* Interrupted
    return { text, index: counts.get(text.slice(askInterrupted.length)) ?? 0 }
  }
  yield* wait(request)
  const metadata = yield* returned(request.echoMetadata)
  yield* failure(request)
  return { text, payload, metadata }
})

/** The replies to one request, counted on by `next`. */
const replies = (request: EchoRequest, count: number, next: () => number) =>
  Stream.unwrap(
    Effect.map(returned(request.echoMetadata), (metadata) =>
      Stream.range(1, count).pipe(
        Stream.mapEffect(() =>
          Effect.map(wait(request), () => ({ text: request.text, payload: request.payload, index: next(), metadata }))
        ),
        Stream.concat(Stream.fromEffectDrain(failure(request)))
      )
    )
  )

const counter = () => {
  let next = 0
  return () => next++
}

export const EchoLive = Echo.layer({
  unary,
  old: unary,
  serverStream: (request) => replies(request, request.count, counter()),
  *clientStream(requests) {
    const all = yield* Stream.runCollect(Stream.tap(requests, (request) => Effect.andThen(wait(request), failure(request))))
    return { text: all.map(({ text }) => text).join(","), payload: Buffer.concat(all.map(({ payload }) => payload)), index: all.length }
  },
  bidi: (requests) =>
    Stream.suspend(() => {
      const next = counter()
      return Stream.flatMap(requests, (request) => replies(request, Math.max(1, request.count), next))
    })
})
