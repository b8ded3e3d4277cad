/** `test.v1.Echo` as the harness's nodes have it: calls take time, streams go on until somebody ends them, and both are passed on where there is a next node. */
import { Call } from "@effect-kratos/core/Call"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as Journal from "@effect-kratos/testing/Journal"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Echo } from "../src/gen/test/v1/echo_effect.ts"
import type { EchoRequest } from "../src/gen/test/v1/echo_pb.ts"

/** What `Echo.client` gives. */
export type EchoClient = Context.Service.Shape<typeof Echo>

export interface Options {
  readonly node: string
  readonly sink: Journal.Sink
  /** Milliseconds that each unary call waits, besides what it asks for. */
  readonly wait: number
  /** Milliseconds of processor time of each unary call. */
  readonly burn: number
  /** The next hop. */
  readonly next?: EchoClient | undefined
}

/** Takes processor time, as a handler that computes does. */
const burn = (millis: number): void => {
  const { system, user } = process.cpuUsage()
  const end = system + user + millis * 1000
  for (let spent = 0; spent < end;) {
    const { system, user } = process.cpuUsage()
    spent = system + user
  }
}

export const layer = ({ burn: cpu, next, node, sink, wait }: Options): Layer.Layer<Echo> => {
  const finalized = Journal.finalized(node, sink)
  const unary = (request: EchoRequest) =>
    finalized(
      Effect.gen(function* () {
        if (cpu > 0) burn(cpu)
        const pause = wait + (next === undefined ? request.delayMs : 0)
        if (pause > 0) yield* Effect.sleep(pause)
        if (next !== undefined) yield* next.unary(request)
        return { text: request.text, payload: request.payload }
      })
    )
  /** A reply at once, so that the caller knows that it is open, and one every `delayMs`. */
  const ticks = ({ count, delayMs, text }: EchoRequest) => {
    const replies = Stream.concat(
      Stream.succeed({ text, index: 0 }),
      Stream.map(Stream.tick(Math.max(1, delayMs)), (_, index) => ({ text, index: index + 1 }))
    )
    return count > 0 ? Stream.take(replies, count) : replies
  }
  /** Open as long as the stream is. */
  const whole = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const call = yield* Call
        const id = Metadata.getAll(call.request, Journal.ID)[0]
        if (id !== undefined) {
          yield* Effect.addFinalizer(() => finalized(Effect.void).pipe(Effect.provideService(Call, call)))
        }
        return stream
      })
    )
  return Echo.layer({
    unary,
    old: unary,
    serverStream: (request) => whole(next === undefined ? ticks(request) : next.serverStream(request)),
    *clientStream(requests) {
      const all = yield* Stream.runCollect(requests)
      return { index: all.length }
    },
    bidi: (requests) => whole(next === undefined ? Stream.flatMap(requests, ticks) : next.bidi(requests))
  })
}
