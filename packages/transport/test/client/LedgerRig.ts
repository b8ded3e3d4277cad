/** A server that does what its test says to each execution of a call, and writes down what it has executed; and clients of it over any wire. */
import type * as Aspect from "@effect-kratos/core/Aspect"
import { Call, type CallShape } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Channels from "../../src/Channels.ts"
import type * as Client from "../../src/Client.ts"
import * as Network from "../../src/Network.ts"
import * as Server from "../../src/Server.ts"
import type * as Service from "../../src/Service.ts"
import { clients, type NamedClient } from "../Clients.ts"
import { Ledger } from "../gen/test/v1/ledger_effect.ts"
import { turn } from "../Harness.ts"

/** What happens to the `n`th execution of a call, from 0: it may fail, before it replies or, for streams, behind `after` replies. */
export type Script = (n: number, call: CallShape) => Effect.Effect<Fate | void, KratosError.KratosError>
export interface Fate {
  readonly after: number
  readonly error: KratosError.KratosError
}

export interface Execution {
  readonly method: string
  /** `grpc-previous-rpc-attempts` as it came. */
  readonly previous: string | undefined
  readonly texts: ReadonlyArray<string>
}

/** The wires of our client, REST among them. */
export const wires: ReadonlyArray<NamedClient> = [...clients, { name: "REST", options: { protocol: "rest" } }]

export const serve = Effect.fnUntraced(function* (script: Script, aspects?: Aspect.Aspect<unknown>) {
  const executions: Array<Execution> = []
  const execute = (texts: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const call = yield* Call
      const n = executions.filter(({ method }) => method === call.method).length
      executions.push({ method: call.method, previous: call.request.get("grpc-previous-rpc-attempts")?.[0], texts })
      const fate = yield* script(n, call)
      return { reply: { texts: [...texts], attempt: n }, fate: fate ?? undefined }
    })
  const one = (texts: ReadonlyArray<string>) =>
    Effect.flatMap(execute(texts), ({ fate, reply }) => (fate === undefined ? Effect.succeed(reply) : Effect.fail(fate.error)))
  const many = (texts: ReadonlyArray<string>) =>
    Stream.unwrap(
      Effect.map(execute(texts), ({ fate, reply }) => {
        const replies = Stream.make(reply, reply, reply)
        return fate === undefined ? replies : Stream.concat(Stream.take(replies, fate.after), Stream.fail(fate.error))
      })
    )
  const collect = (requests: Stream.Stream<{ readonly text: string }, KratosError.KratosError>) =>
    Effect.map(Stream.runCollect(requests), (all) => all.map(({ text }) => text))
  const context = yield* Layer.build(
    Server.layer({ services: [Ledger], host: "ledger", ...(aspects === undefined ? undefined : { aspects }) }).pipe(
      Layer.provide(
        Ledger.layer({
          read: ({ text }) => one([text]),
          add: ({ text }) => one([text]),
          look: ({ text }) => one([text]),
          list: ({ text }) => many([text]),
          addEach: ({ text }) => many([text]),
          put: (requests) => Effect.flatMap(collect(requests), one),
          addAll: (requests) => Effect.flatMap(collect(requests), one),
          talk: (requests) => Stream.unwrap(Effect.map(collect(requests), many)),
          addTalk: (requests) => Stream.unwrap(Effect.map(collect(requests), many))
        })
      ),
      Layer.provideMerge(Network.layerMemory)
    )
  )
  return { executions, address: Context.get(context, Server.Server).address, network: Context.get(context, Network.Network) }
})

export interface Serving extends Effect.Success<ReturnType<typeof serve>> {}

export const clientOf = Effect.fnUntraced(function* (server: Pick<Serving, "address" | "network">, options: Client.Options) {
  const context = yield* Layer.build(
    Layer.fresh(Ledger.client("discovery:///ledger", options)).pipe(
      Layer.provide(Layer.fresh(Channels.layerTo(server.address))),
      Layer.provide(Layer.succeed(Network.Network, server.network))
    )
  )
  return Context.get(context, Ledger)
})

/** Runs an effect while the clock goes on, by ten milliseconds a turn. */
export const passing = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    while (fiber.pollUnsafe() === undefined) {
      yield* turn
      yield* TestClock.adjust("10 millis")
    }
    return yield* Fiber.join(fiber)
  })

type Caller = Context.Service.Shape<typeof Ledger>

export interface Kind {
  readonly method: string
  /** Not idempotent, the same kind. */
  readonly other: string
  readonly call: (ledger: Caller, texts: Stream.Stream<string>) => Effect.Effect<unknown, unknown>
  readonly callOther: Kind["call"]
  readonly streams: boolean
}

const entries = (texts: Stream.Stream<string>) => Stream.map(texts, (text) => ({ text }))
const first = <A, E>(texts: Stream.Stream<string>, f: (text: string) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.flatMap(Stream.runCollect(texts), (all) => f(all[0]!))

/** The four kinds of method, each in a form that may be executed twice and one that may not. */
export const kinds: ReadonlyArray<Kind> = [
  {
    method: "Read",
    other: "Add",
    call: (ledger, texts) => first(texts, (text) => ledger.read({ text })),
    callOther: (ledger, texts) => first(texts, (text) => ledger.add({ text })),
    streams: false
  },
  {
    method: "List",
    other: "AddEach",
    call: (ledger, texts) => first(texts, (text) => Stream.runCollect(ledger.list({ text }))),
    callOther: (ledger, texts) => first(texts, (text) => Stream.runCollect(ledger.addEach({ text }))),
    streams: true
  },
  {
    method: "Put",
    other: "AddAll",
    call: (ledger, texts) => ledger.put(entries(texts)),
    callOther: (ledger, texts) => ledger.addAll(entries(texts)),
    streams: false
  },
  {
    method: "Talk",
    other: "AddTalk",
    call: (ledger, texts) => Stream.runCollect(ledger.talk(entries(texts))),
    callOther: (ledger, texts) => Stream.runCollect(ledger.addTalk(entries(texts))),
    streams: true
  }
]

type Handlers = Service.Handlers<typeof Ledger.descriptor, typeof Ledger.errors>

const unexpected = Effect.die(new Error("not part of this test"))

/** An implementation of some methods; the others die. */
export const implementLedger = Object.assign(
  (handlers: Partial<Handlers>): Layer.Layer<Ledger> =>
    Ledger.layer<Handlers>({
      read: () => unexpected,
      add: () => unexpected,
      look: () => unexpected,
      put: () => unexpected,
      addAll: () => unexpected,
      list: () => Stream.fromEffect(unexpected),
      addEach: () => Stream.fromEffect(unexpected),
      talk: () => Stream.fromEffect(unexpected),
      addTalk: () => Stream.fromEffect(unexpected),
      ...handlers
      // the handlers of a test need nothing but the call
    }) as Layer.Layer<Ledger>,
  { down: Effect.fail(KratosError.serviceUnavailable("DOWN", "not now")) }
)
