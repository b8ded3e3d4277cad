/** `chaos.v1.Work` as the harness's nodes have it. Where there is a next node, calls are passed on to it and are done there. */
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { FiberCensus } from "@effect-kratos/testing/FiberCensus"
import * as Journal from "@effect-kratos/testing/Journal"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Work } from "../src/gen/chaos/v1/work_effect.ts"
import type { WorkReply, WorkRequest } from "../src/gen/chaos/v1/work_pb.ts"

/** What `Work.client` gives. */
export type WorkClient = Context.Service.Shape<typeof Work>

export interface Options {
  readonly node: string
  readonly sink: Journal.Sink
  readonly census: FiberCensus
  /** Milliseconds that each unary call waits, besides what it asks for. */
  readonly wait: number
  /** Milliseconds of processor time of each unary call. */
  readonly burn: number
  /** Fails every unary call with 503. */
  readonly broken: boolean
  /** The next hop. */
  readonly next?: WorkClient | undefined
}

/** Takes processor time, as a handler that computes does; not wall time, of which others may have taken a part. */
const spend = (millis: number): void => {
  const from = process.cpuUsage()
  for (let spent = 0, sum = 0; spent < millis * 1000;) {
    // asking the system is what takes the longest
    for (let i = 0; i < 20_000; i++) sum = (sum * 31 + i) | 0
    const { system, user } = process.cpuUsage(from)
    spent = system + user + (sum === 0.5 ? 1 : 0)
  }
}

const count = (type: string): number => process.getActiveResourcesInfo().filter((resource) => resource === type).length

export const layer = ({ broken, burn, census, next, node, sink, wait }: Options): Layer.Layer<Work> => {
  const finalized = Journal.finalized(node, sink)
  let handlers = 0
  /** Counts a handler as long as it has something to clean up. */
  const open = Effect.acquireRelease(
    Effect.sync(() => handlers++),
    () => Effect.sync(() => handlers--)
  )
  const unary = (method: "do" | "once") => (request: WorkRequest) =>
    Effect.gen(function* () {
      yield* open
      if (broken) return yield* KratosError.serviceUnavailable("BROKEN", `${node} is broken`)
      if (wait > 0) yield* Effect.sleep(wait)
      // what it has waited for has to be worked on
      if (burn > 0) spend(burn)
      if (next !== undefined) return yield* Journal.relay(next[method]({ waitMs: request.waitMs }))
      if (request.waitMs > 0) yield* Effect.sleep(request.waitMs)
      return {}
    }).pipe(Effect.scoped, finalized)

  const ticks = ({ waitMs }: WorkRequest) =>
    Stream.concat(
      Stream.succeed({ index: 0 }),
      // the first tick comes at once
      Stream.tick(Math.max(1, waitMs)).pipe(
        Stream.drop(1),
        Stream.map((_, index) => ({ index: index + 1 }))
      )
    )
  type Reply = WorkReply | { readonly index: number }
  /** A stream whose clean-up is noted. */
  const whole = <E, R>(replies: Stream.Stream<Reply, E, R>) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const call = yield* Call
        yield* Effect.addFinalizer(() => Effect.provideService(finalized(Effect.void), Call, call))
        yield* open
        return replies
      })
    )
  return Work.layer({
    do: unary("do"),
    once: unary("once"),
    follow: (request) => whole(next === undefined ? ticks(request) : Journal.relayStream(next.follow({ waitMs: request.waitMs }))),
    talk: (requests) => whole(next === undefined ? Stream.flatMap(requests, ticks) : Journal.relayStream(next.talk(requests))),
    *report({ collect }) {
      if (collect) yield* Effect.sync(() => globalThis.gc?.())
      return {
        handlers,
        fibers: census.running(),
        sockets: count("TCPSocketWrap"),
        timers: count("Timeout"),
        heapBytes: process.memoryUsage().heapUsed
      }
    }
  })
}
