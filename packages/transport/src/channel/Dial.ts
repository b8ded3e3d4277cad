/**
 * One attempt to reach a node. It has succeeded when the server has said its HTTP/2 settings: a server that accepts and then says nothing is one that
 * cannot be reached, and no call has been risked on it.
 */
import * as ClientConnection from "@effect-kratos/http2/ClientConnection"
import type * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import { Socket } from "node:net"
import type { DeadlineTimers } from "../DeadlineTimers.ts"
import * as EngineTimers from "../EngineTimers.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import { type ConnectOptions, type NetworkShape, text } from "../Network.ts"
import * as NetworkError from "../NetworkError.ts"
import * as SharedRead from "../SharedRead.ts"
import type { Resolved } from "./ConnectionOptions.ts"

/** What is heard of a connection; its owner sets the functions. */
export class Events {
  onClose: (error: Error | undefined) => void = ignore
  onGoAway: (code: number, debug: string) => void = ignore
  /** There may be room for a stream again. */
  onRoom: () => void = ignore
}

const ignore = (): void => {}

/** Zero is the engine's word for never. */
const finite = (milliseconds: number): number => (milliseconds === Number.POSITIVE_INFINITY ? 0 : milliseconds)

export interface Dialled {
  readonly engine: ClientConnection.ClientConnection
  readonly events: Events
}

export interface Options extends Pick<Resolved, "connectTimeout" | "idleTimeout" | "keepAlive"> {
  readonly timers: DeadlineTimers
}

/** Connects; the caller owns the connection. */
export const dial = (
  network: NetworkShape,
  to: ConnectOptions,
  { connectTimeout, idleTimeout, keepAlive, timers }: Options
): Effect.Effect<Dialled, KratosError.KratosError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(network.connect(to)), (duplex) => {
      const events = new Events()
      const engine = ClientConnection.make(duplex, {
        recycle: duplex instanceof Socket,
        // on the clock of the program, as deadlines are
        now: timers.now,
        after: EngineTimers.after(timers),
        settingsTimeout: finite(connectTimeout),
        maxIdle: finite(idleTimeout),
        keepAliveInterval: finite(keepAlive?.interval ?? Number.POSITIVE_INFINITY),
        keepAliveTimeout: finite(keepAlive?.timeout ?? Number.POSITIVE_INFINITY),
        keepAliveWithoutStreams: keepAlive?.permitWithoutStream ?? false,
        onAvailable: () => events.onRoom(),
        onSettings: () => events.onRoom(),
        onGoAway: (code, _, debug) => events.onGoAway(code, debug),
        onClose: (error) => events.onClose(error)
      })
      // the engine copies what it keeps, and so do its listeners
      if (duplex instanceof Socket) SharedRead.enable(duplex)
      const settings = Effect.callback<void, NetworkError.ConnectError>((resume) => {
        events.onRoom = () => resume(Effect.void)
        events.onClose = (cause) => resume(Effect.fail(NetworkError.afterConnect(to, text(to), cause)))
      })
      return restore(settings).pipe(
        Effect.onError(() => Effect.sync(() => engine.destroy())),
        Effect.map(() => {
          events.onRoom = events.onClose = ignore
          return { engine, events }
        })
      )
    })
  ).pipe(
    Effect.timeoutOrElse({
      duration: connectTimeout,
      orElse: () => Effect.fail(NetworkError.tooLate(to, text(to), connectTimeout))
    }),
    Effect.mapError(GrpcError.unreachable)
  )
