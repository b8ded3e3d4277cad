/** A client and a server of the test contract, joined over a network: built inside a test, so that the test can look at both ends and close either. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Call } from "@effect-kratos/core/Call"
import type * as Aspect from "@effect-kratos/core/Aspect"
import { Lifecycle } from "@effect-kratos/core/Lifecycle"
import type { Options as Http2Options } from "@effect-kratos/http2/Limits"
import type * as HttpRouter from "effect/http/HttpRouter"
import type * as ConnectionOptions from "../src/channel/ConnectionOptions.ts"
import * as Channels from "../src/Channels.ts"
import type * as ConnectionLife from "../src/ConnectionLife.ts"
import type * as Client from "../src/Client.ts"
import type * as Cors from "../src/http/Cors.ts"
import * as Network from "../src/Network.ts"
import * as Server from "../src/Server.ts"
import type * as Tls from "../src/Tls.ts"
import type * as Service from "../src/Service.ts"
import { EchoLive, Journal } from "./EchoLive.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"

/** How bytes travel, and in which protocol. Nothing else may differ. */
export interface Wire {
  readonly name: string
  readonly network: Layer.Layer<never>
  /** The contract, when it needs rules that `Echo` does not carry. */
  readonly service?: typeof Echo | undefined
  readonly client?: Client.Options | undefined
}

export const memory: Wire = { name: "memory", network: Network.layerMemory }
export const sockets: Wire = { name: "sockets", network: Layer.empty }

export interface Options extends ConnectionLife.Options {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined
  readonly wire?: Wire | undefined
  /** Default: EchoLive. */
  readonly implementation?: Layer.Layer<Echo, never, Journal> | undefined
  readonly client?: Client.Options | undefined
  readonly aspects?: Aspect.Aspect<unknown> | undefined
  readonly routes?: Layer.Layer<never, never, HttpRouter.HttpRouter> | undefined
  readonly maxMessageBytes?: number | undefined
  readonly maxBodyBytes?: number | undefined
  readonly drainTimeout?: number | undefined
  readonly streamGrace?: number | undefined
  readonly health?: boolean | undefined
  readonly metrics?: Server.Options<[]>["metrics"]
  readonly http2?: Http2Options | undefined
  readonly cors?: Cors.Options | undefined
  readonly port?: number | undefined
  readonly unix?: string | undefined
  readonly unixMode?: number | undefined
  readonly backlog?: number | undefined
  readonly maxConnections?: number | undefined
  readonly tls?: Tls.ServerOptions | undefined
  readonly reusePort?: boolean | undefined
}

const serverLayer = ({ implementation = EchoLive, wire, client: _client, host = "127.0.0.1", port = 0, ...options }: Options) =>
  Server.layer({ services: [wire?.service ?? Echo], host, port, ...options }).pipe(Layer.provide(implementation))

/** A server, and what it counts. It closes with the scope of the test, or by `close`. */
export const serve = Effect.fnUntraced(function* (options: Options = {}) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const { wire = memory } = options
  const context = yield* Layer.buildWithScope(
    serverLayer(options).pipe(Layer.provideMerge(Journal.layer), Layer.provideMerge(wire.network)),
    scope
  )
  const { address } = Context.get(context, Server.Server)
  return {
    address,
    wire,
    context,
    journal: Context.get(context, Journal),
    lifecycle: Context.get(context, Lifecycle),
    network: Context.get(context, Network.Network),
    connect: Effect.orDie(Context.get(context, Network.Network).connect(address)),
    close: Scope.close(scope, Exit.void)
  }
})

export interface Serving extends Effect.Success<ReturnType<typeof serve>> {}

/** A client of a server. */
export const clientOf = Effect.fnUntraced(function* (
  server: Pick<Serving, "network" | "address"> & Partial<Pick<Serving, "wire">>,
  options?: Client.Options,
  connection: ConnectionOptions.Options = {}
) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const context = yield* Layer.buildWithScope(
    Layer.fresh((server.wire?.service ?? Echo).client("discovery:///echo", { ...server.wire?.client, ...options })).pipe(
      Layer.provideMerge(Layer.fresh(Channels.layerTo(server.address))),
      Layer.provide(Channels.options(connection)),
      Layer.provide(Layer.succeed(Network.Network, server.network))
    ),
    scope
  )
  return { echo: Context.get(context, Echo), channels: Context.get(context, Channels.Channels), close: Scope.close(scope, Exit.void) }
})

/** Both ends. */
export const join = Effect.fnUntraced(function* (options: Options = {}) {
  const server = yield* serve(options)
  const { close: closeClient, echo } = yield* clientOf(server, options.client)
  return { ...server, echo, closeClient }
})

type Handlers = Service.Handlers<typeof Echo.descriptor, typeof Echo.errors>

/** An implementation of some methods; the others die. */
export const implement = (handlers: Partial<Handlers>): Layer.Layer<Echo> =>
  Echo.layer<Handlers>({
    unary: () => unexpected,
    old: () => unexpected,
    serverStream: () => Stream.fromEffect(unexpected),
    clientStream: () => unexpected,
    bidi: () => Stream.fromEffect(unexpected),
    ...handlers
    // the handlers of a test need nothing but the call
  }) as Layer.Layer<Echo>

const unexpected = Effect.die(new Error("not part of this test"))

/** Lets the loop turn: input and output happen between two turns. */
export const turn: Effect.Effect<void> = Effect.callback((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

/** Completes when the condition holds. The runner's limit is the only clock. */
export const until = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(condition, (holds) => (holds ? Effect.void : Effect.andThen(turn, until(condition))))

/** Completes when a counter has reached a number. */
export const reaches = (counter: Ref.Ref<number>, number: number): Effect.Effect<void> =>
  until(Effect.map(Ref.get(counter), (n) => n >= number))

/** Completes when a number has stopped changing: for "it goes no further". */
export const settles = (read: () => number): Effect.Effect<number> =>
  Effect.gen(function* () {
    let last = read()
    for (let same = 0; same < 50;) {
      yield* turn
      const next = read()
      same = next === last ? same + 1 : 0
      last = next
    }
    return last
  })

/** The metadata that a reply came with, caught by an aspect of the client. */
export const makeReplies = () => {
  const headers: Array<Record<string, ReadonlyArray<string>>> = []
  const trailers: Array<Record<string, ReadonlyArray<string>>> = []
  const aspect: Aspect.Aspect = (call) =>
    Effect.onExit(call, () =>
      Effect.withFiber((fiber) => {
        const { reply, trailers: last } = Context.getUnsafe(fiber.context, Call)
        headers.push(Object.fromEntries(reply))
        trailers.push(Object.fromEntries(last))
        return Effect.void
      })
    )
  return { headers, trailers, aspect }
}

/** An aspect of a client that sends metadata. */
export const sends =
  (values: Readonly<Record<string, ReadonlyArray<string>>>): Aspect.Aspect =>
  (call) =>
    Effect.withFiber((fiber) => {
      const { request } = Context.getUnsafe(fiber.context, Call)
      for (const [key, list] of Object.entries(values)) request.set(key, [...list])
      return call
    })

/** Completes when no call of a server is in progress. */
export const settled = (journal: Journal["Service"]): Effect.Effect<void> => until(Effect.map(Ref.get(journal.open), (open) => open === 0))
