/**
 * Callers that go away: they interrupt their calls, their deadlines pass, or their connections are reset. Each call goes through three nodes, and each of
 * them has to break off its part and clean up, soon, whatever the call came in by.
 */
import * as Timeout from "@effect-kratos/core/aspect/Timeout"
import * as Aspect from "@effect-kratos/core/Aspect"
import * as FaultProxy from "@effect-kratos/testing/FaultProxy"
import * as Journal from "@effect-kratos/testing/Journal"
import * as Laws from "@effect-kratos/testing/Laws"
import * as Verdict from "@effect-kratos/testing/Verdict"
import type * as Client from "@effect-kratos/transport/Client"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Fleet from "../Fleet.ts"
import type { Scenario } from "../Scenario.ts"
import type { WorkClient } from "../WorkLive.ts"

const HOPS = 3
/** Calls of one kind at a time. */
const CALLS = 20
/** Milliseconds; longer than it takes to reach the last node. */
const DEADLINE = 1500
/** Milliseconds: no call ends by itself. */
const LONG = 600_000
/** Milliseconds between what ends one call and what ends the next. */
const APART = 4

/** Timers that nobody waits for any more go off within a minute; each slot of them is a fiber. */
const TIMERS = 65_000
/** How long a node has to look the same until that is how it looks at rest: longer than a new connection has to say what it speaks, in milliseconds. */
const REST = 11_000

type Options = Client.Options

const protocols: Readonly<
  Record<string, { readonly options: Options; readonly call: (work: WorkClient) => Effect.Effect<unknown, unknown> }>
> = {
  "gRPC unary": { options: {}, call: (work) => work.do({ waitMs: LONG }) },
  "gRPC stream": { options: {}, call: (work) => Stream.runDrain(work.follow({ waitMs: LONG })) },
  "gRPC both ways": { options: {}, call: (work) => Stream.runDrain(work.talk(open)) },
  "Connect unary": { options: { protocol: "connect" }, call: (work) => work.do({ waitMs: LONG }) },
  "Connect unary, HTTP/1.1": { options: { protocol: "connect", http: "1.1" }, call: (work) => work.do({ waitMs: LONG }) },
  "Connect stream": { options: { protocol: "connect" }, call: (work) => Stream.runDrain(work.follow({ waitMs: LONG })) },
  REST: { options: { protocol: "rest" }, call: (work) => work.do({ waitMs: LONG }) },
  SSE: { options: { protocol: "rest" }, call: (work) => Stream.runDrain(work.follow({ waitMs: LONG })) },
  WebSocket: { options: { protocol: "rest" }, call: (work) => Stream.runDrain(work.talk(open)) }
}

/** Requests that go on as long as somebody listens. */
const open = Stream.concat(Stream.succeed({ waitMs: LONG }), Stream.never)

const ways = ["interrupted", "deadline", "reset"] as const
type Way = (typeof ways)[number]

const run = Effect.fnUntraced(function* (seconds: number) {
  const fleet = yield* Fleet.make()
  const ids = Array.from({ length: HOPS }, (_, i) => `hop-${i + 1}`)
  const nodes: Array<Fleet.Node> = []
  for (const id of ids.toReversed()) {
    const [next] = nodes
    nodes.unshift(yield* fleet.start({ id, ...(next === undefined ? {} : { upstream: `127.0.0.1:${next.ready}` }) }))
  }
  const last = ids[HOPS - 1]
  const first = { host: "127.0.0.1", port: nodes[0]!.ready } // there are three
  const proxy = yield* FaultProxy.make({ upstream: first })
  const target = `${proxy.address.host}:${proxy.address.port}`
  const journal = Journal.make()

  const reports = yield* Effect.forEach(nodes, (node) => Fleet.client(`127.0.0.1:${node.ready}`, {}))
  yield* reports[0]!.do({}) // the connections between the nodes are there from now on
  const report = Effect.forEach(reports, (work) => work.report({ collect: false }))
  const before = yield* settled(report)

  /** When each call lost its caller, by id. */
  const gone = new Map<string, number>()
  const now = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos / 1000n) / 1000)

  const round = Effect.fnUntraced(function* (name: string, way: Way, kind = name) {
    const { call, options } = protocols[name]! // of its keys
    const aspects =
      way === "deadline" ? Aspect.compose(Timeout.make({ duration: DEADLINE, streams: DEADLINE }), Journal.client) : Journal.client
    const work = yield* Fleet.client(target, { ...options, aspects })
    const from = journal.entries.length
    const fibers: Array<Fiber.Fiber<unknown>> = []
    for (let i = 0; i < CALLS; i++) {
      fibers.push(yield* Effect.forkScoped(Effect.exit(journal.record({ kind, idempotent: true })(call(work))), { startImmediately: true }))
      if (way === "deadline") yield* Effect.sleep(APART)
    }
    const entries = journal.entries.slice(from)
    const waiting = new Set(entries.map(({ id }) => id))
    const arrived = Effect.map(fleet.journal, (executions) => {
      for (const { event, id, node } of executions) if (event === "started" && node === last) waiting.delete(id)
      return waiting.size === 0
    })
    if (!(yield* within(arrived, DEADLINE + 5000))) return
    switch (way) {
      case "deadline":
        for (const { id, start } of entries) gone.set(id, start + DEADLINE)
        break
      case "interrupted":
        for (const [i, fiber] of fibers.entries()) {
          gone.set(entries[i]!.id, yield* now)
          fiber.interruptUnsafe()
          yield* Effect.sleep(APART)
        }
        break
      case "reset":
        for (const { id } of entries) gone.set(id, yield* now)
        yield* proxy.resetConnections
        break
    }
    yield* Fiber.awaitAll(fibers)
  }, Effect.scoped)

  // code that runs for the first time is slow; what it does is held against all laws but those about time
  for (const name of Object.keys(protocols)) for (const way of ways) if (way !== "deadline") yield* round(name, way, `warm-up of ${name}`)

  const start = yield* Clock.currentTimeMillis
  let rounds = 0
  do {
    for (const name of Object.keys(protocols)) for (const way of ways) yield* round(name, way)
    rounds++
  } while ((yield* Clock.currentTimeMillis) - start < seconds * 1000)

  const isQuiet = Effect.map(report, (after) => after.every(({ fibers, handlers }, i) => handlers === 0 && fibers <= before[i]!.fibers))
  yield* within(isQuiet, TIMERS)
  const after = yield* report
  const executions = yield* fleet.journal

  const latenesses = (kinds: ReadonlyArray<string>) => {
    const of = new Set(journal.entries.flatMap(({ id, kind }) => (kinds.includes(kind) ? [id] : [])))
    return executions.flatMap(({ at, event, id }) => (event === "finalized" && of.has(id) && gone.has(id) ? [at - gone.get(id)!] : []))
  }
  const p99 = (law: string, ...kinds: ReadonlyArray<string>) =>
    Verdict.timed(Verdict.atMost(`${law}: clean-up after, p99`, Laws.percentile(latenesses(kinds), 0.99), 50, " ms"))
  const finalized = executions.filter(({ event, id }) => event === "finalized" && gone.has(id)).length
  return Verdict.make(
    scenario.name,
    [
      p99("gRPC", "gRPC unary", "gRPC stream", "gRPC both ways"),
      p99("Connect", "Connect unary", "Connect unary, HTTP/1.1", "Connect stream"),
      p99("REST", "REST"),
      p99("SSE", "SSE"),
      p99("WebSocket", "WebSocket"),
      Verdict.equal("calls that reached the last node", gone.size, journal.entries.length),
      Verdict.equal("clean-ups, one a call on each node", finalized, journal.entries.length * HOPS),
      Laws.noneLeft(executions),
      Verdict.equal(
        "handlers left",
        after.reduce((sum, { handlers }) => sum + handlers, 0),
        0
      ),
      Verdict.atMost(
        "orphan fibers",
        after.reduce((sum, { fibers }, i) => sum + Math.max(0, fibers - before[i]!.fibers), 0),
        0
      )
    ],
    Object.fromEntries([
      ["calls", journal.entries.length],
      ["rounds", rounds],
      ...Object.keys(protocols).map((name) => [`${name} p99 ms`, Laws.percentile(latenesses([name]), 0.99)] as const)
    ])
  )
})

/** What nodes look like at rest. */
const settled = <A, E, R>(report: Effect.Effect<ReadonlyArray<A & { readonly fibers: number }>, E, R>) =>
  Effect.gen(function* () {
    let last = yield* report
    for (let since = 0; since < REST; since += 500) {
      yield* Effect.sleep(500)
      const next = yield* report
      if (next.some(({ fibers }, i) => fibers !== last[i]?.fibers)) since = 0
      last = next
    }
    return last
  })

/** Waits until it is so, or for so many milliseconds; says whether it is. */
const within = <E, R>(isSo: Effect.Effect<boolean, E, R>, millis: number): Effect.Effect<boolean, E, R> =>
  isSo.pipe(
    Effect.repeat({ until: (yes) => yes, schedule: Schedule.spaced("50 millis") }),
    Effect.timeoutOrElse({ duration: millis, orElse: () => Effect.succeed(false) })
  )

export const scenario: Scenario = {
  name: "disconnects",
  about: "callers disconnect and deadlines pass, through three nodes, on gRPC, Connect, REST, SSE and WebSocket",
  seconds: { full: 120, short: 20 },
  run
}
