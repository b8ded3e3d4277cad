/** Our member of the fleet: `fleet.v1.Fleet` as the contract describes it, and as the programs in Go serve it. */
import * as MetadataPropagation from "@effect-kratos/core/aspect/MetadataPropagation"
import * as Validation from "@effect-kratos/core/aspect/Validation"
import { Call } from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import { isMessage } from "@bufbuild/protobuf"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Fleet } from "../gen/fleet/v1/fleet_effect.ts"
import { type TalkMessage, type VisitRequest, VisitRequestSchema } from "../gen/fleet/v1/fleet_pb.ts"
import { PlaceBusy, PlaceNotFound, Teapot } from "../gen/fleet/v1/fleet_reason_effect.ts"
import { Callers } from "./Callers.ts"

const reasons = [PlaceNotFound, PlaceBusy, Teapot]

/** Refuses visits without a name. */
export const validation = Validation.all([
  (message) => (isMessage(message, VisitRequestSchema) && message.name === "" ? "name must not be empty" : undefined)
])

const hopOf = (id: string) =>
  Effect.gen(function* () {
    const call = yield* Call
    const incoming = yield* MetadataPropagation.Incoming
    const left = yield* Deadline.remaining
    const span = yield* Effect.option(Effect.currentParentSpan)
    return {
      node: id,
      traceId: Option.isSome(span) ? span.value.traceId : "",
      metadata: Object.fromEntries([...incoming].map(([key, values]) => [key, values.join(",")])),
      timeLeftMs: left === undefined ? -1n : BigInt(Math.round(Duration.toMillis(left))),
      transport: call.transport
    }
  })

const busy = Effect.fail(new PlaceBusy({ message: "no more", metadata: { k: "v" } }))

const failure = (id: string, { failReason, name }: VisitRequest) => {
  const Class = reasons.find((known) => known.reason === failReason)
  return Class === undefined ? Effect.void : Effect.fail(new Class({ message: `${name} ü`, metadata: { name, node: id } }))
}

export const layer = (id: string) => {
  const interrupted = new Map<string, number>()
  const count = (name: string) => Effect.sync(() => void interrupted.set(name, (interrupted.get(name) ?? 0) + 1))
  return Fleet.layer({
    *visit(request) {
      const hop = yield* hopOf(id)
      const [next, ...route] = request.route
      if (next !== undefined) {
        const callers = yield* Callers
        // binary messages are what both versions of Kratos read
        const fleet = yield* callers.get(next.target, next.protocol, { dialect: "binary" })
        const { failReason, name, waitMs } = request
        const reply = yield* fleet.visit({ failReason, name, route, waitMs })
        return { hops: [hop, ...reply.hops] }
      }
      if (request.waitMs > 0) yield* Effect.onInterrupt(Effect.sleep(request.waitMs), () => count(request.name))
      yield* failure(id, request)
      return { hops: [hop] }
    },
    interrupted: ({ name }) => Effect.sync(() => ({ count: interrupted.get(name) ?? 0 })),
    putThing: (thing) => Effect.succeed(thing),
    getThing: ({ bigNumber, createdAt, id, isNew, mainColor }) =>
      Effect.succeed({ bigNumber, id, isNew, mainColor, ...(createdAt === undefined ? {} : { createdAt }) }),
    watch: ({ number, text }) =>
      text === "early"
        ? Stream.fromEffect(busy)
        : Stream.concat(
            Stream.fromIterable([0n, 1n, 2n].map((i) => ({ text, number: number + i }))),
            text === "late" ? Stream.fromEffect(busy) : Stream.empty
          ),
    talk: (messages) => Stream.mapEffect(messages, (message) => (message.text === "fail" ? busy : Effect.succeed(message))),
    *collect(messages) {
      const all: ReadonlyArray<TalkMessage> = yield* Stream.runCollect(messages)
      return { text: all.map(({ text }) => text).join(","), number: BigInt(all.length) }
    }
  })
}
