/**
 * Another reply where the real one cannot be had: a cached value, a default, another service. For one method, whose types it has; on a
 * client in place of what a server could not give, on a server in place of what a handler could not.
 *
 * A stream falls back only while no message of it has been delivered: what a caller has seen cannot be taken back, and two answers mixed are
 * none. Interrupts and defects are never replaced (`Recovery` inside of it makes an error of a defect).
 */
import type { DescMessage, DescMethod, MessageInitShape } from "@bufbuild/protobuf"
import * as Aspect from "@effect-kratos/core/Aspect"
import { Call, type CallShape } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { complete, type Sink } from "./Handler.ts"
import type { Outgoing } from "./Outgoing.ts"
import * as Method from "./Method.ts"

/** The reply of a method: one, or a stream of them. */
export type Reply<M extends DescMethod, E, R> = M extends { methodKind: "unary" | "client_streaming"; output: infer O extends DescMessage }
  ? Effect.Effect<MessageInitShape<O>, E, R>
  : M extends { output: infer O extends DescMessage }
    ? Stream.Stream<MessageInitShape<O>, E, R>
    : never

export interface Options<M extends DescMethod, Err, E, R> {
  /** Which failures are replaced. Default: what the caller is not to blame for and may not last, codes 429 and from 500 on. */
  readonly when?: ((error: unknown) => error is Err) | undefined
  /** What takes the place of the reply. Should it fail, that is how the call fails. */
  readonly reply: (error: Err, call: CallShape) => Reply<M, E, R>
}

/** Failures of an overloaded, broken or absent service, and nothing that a contract gives as an answer. */
export const isUnavailable = (error: unknown): error is KratosError.Marked => {
  const code = KratosError.code(error)
  return KratosError.isMarked(error) && (code === 429 || code >= 500)
}

/** For the calls of one method; the others pass. */
export const make = <const M extends DescMethod, Err = KratosError.Marked, E = never, R = never>(
  method: M,
  options: Options<M, Err, E, R>
): Aspect.Aspect<E | KratosError.KratosError, R> => {
  const operation = Method.operationOf(method)
  // without `when`, Err is what isUnavailable says
  const when = options.when ?? (isUnavailable as unknown as (error: unknown) => error is Err)
  const single = method.methodKind === "unary" || method.methodKind === "client_streaming"

  const aspect: Aspect.Aspect<E | KratosError.KratosError, R> = <A, E1, R1>(effect: Effect.Effect<A, E1, R1>) =>
    Effect.withFiber<A, E | E1 | KratosError.KratosError, R | R1>((fiber) => {
      const call = Context.getUnsafe(fiber.context, Call)
      if (single) {
        return Effect.catch(effect, (error): Effect.Effect<A, E | E1, R> => {
          if (!when(error)) return Effect.fail(error)
          // the kind of the method decides which of the two `reply` is, and A is its reply
          const reply = options.reply(error, call) as Effect.Effect<object, E, R>
          return Effect.map(reply, (value) => complete(method.output, value) as A)
        })
      }
      const delivery = deliveryOf(call)
      return Effect.catch(effect, (error): Effect.Effect<A, E | E1 | KratosError.KratosError, R> => {
        if (!when(error) || delivery.hasBegun()) return Effect.fail(error)
        const replies = options.reply(error, call) as unknown as Stream.Stream<object, E, R>
        // a call of these kinds completes with nothing
        return Stream.runForEachArray(replies, (batch) =>
          delivery.write(batch.map((value) => complete(method.output, value)))
        ) as Effect.Effect<A, E | E1 | KratosError.KratosError, R>
      })
    })
  return Aspect.when({ _tag: "Method", matches: (candidate) => candidate.operation === operation })(aspect)
}

/** Where the messages of a streaming call go. */
interface Delivery {
  readonly hasBegun: () => boolean
  readonly write: (messages: ReadonlyArray<object>) => Effect.Effect<void, KratosError.KratosError>
}

/** On a client a queue that the caller reads; on a server a sink. Only calls of a proto contract get here, and they have one of them. */
const deliveryOf = (call: CallShape): Delivery => {
  if (call.side === "client") {
    const { replies } = call as unknown as Outgoing
    return {
      hasBegun: () => replies.hasBegun,
      write: (messages) =>
        Effect.sync(() => {
          for (const message of messages) replies.push(message as Parameters<typeof replies.push>[0]) // completed above
          replies.received(0)
        })
    }
  }
  const serving = call as unknown as { sink: Sink | undefined }
  const sink = serving.sink!
  let begun = false
  serving.sink = {
    write: (messages) => {
      begun = true
      return sink.write(messages)
    }
  }
  return { hasBegun: () => begun, write: sink.write }
}
