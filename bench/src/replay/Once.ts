/** One call on a connection of its own, with as little of a client around it as there can be. */
import * as Effect from "effect/Effect"
import { type BenchError, failed } from "../BenchError.ts"
import * as Blocks from "./Blocks.ts"
import { Connection } from "./Connection.ts"

/** Prepares the call, so that asking costs nothing but the answer. */
export const prepare = (path: string, body: Uint8Array): Effect.Effect<(port: number) => Effect.Effect<void, BenchError>> =>
  Effect.map(
    Effect.promise(() => Blocks.record(path, false)),
    (blocks) => (port) =>
      Effect.callback<void, BenchError>((resume) => {
        const connection = new Connection({
          port,
          blocks,
          body,
          streams: 1,
          nextCall: () => 0,
          onReading: () => undefined,
          onRead: () => undefined,
          onAnswer: () => {
            connection.close()
            resume(Effect.void)
          },
          onFailure: (why) => resume(Effect.fail(failed(why)))
        })
        connection.send(1)
        return Effect.sync(() => connection.close())
      }).pipe(Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.fail(failed("no first answer within 10 s")) }))
  )
