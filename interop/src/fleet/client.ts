/** Our client of the fleet: `client.ts CONFIG` does the jobs that `FleetConfig` lists, one after the other, and prints an `Answer` for each, as those in Go do. */
import { fromJsonString, toJson, type DescMessage, type Message } from "@bufbuild/protobuf"
import * as MetadataPropagation from "@effect-kratos/core/aspect/MetadataPropagation"
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { AppInfo } from "@effect-kratos/core/Lifecycle"
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import * as Static from "@effect-kratos/core/registry/Static"
import * as Channels from "@effect-kratos/transport/Channels"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import {
  GetThingRequestSchema,
  type TalkMessage,
  TalkMessageSchema,
  ThingSchema,
  VisitReplySchema,
  VisitRequestSchema
} from "../gen/fleet/v1/fleet_pb.ts"
import * as Callers from "./Callers.ts"
import * as FleetConfig from "./FleetConfig.ts"
import * as Registry from "./Registry.ts"

type Answer = FleetConfig.Answer
type Job = FleetConfig.Job

/** What is shown of an error of any class. */
const Described = Schema.Struct({
  message: Schema.String,
  metadata: Schema.Record(Schema.String, Schema.String).pipe(Schema.withDecodingDefault(Effect.succeed({}))),
  _tag: Schema.String
})

const failureOf = (error: unknown): NonNullable<Answer["error"]> => {
  const { code, reason } = KratosError.statusFromCause(Cause.fail(error))
  const { _tag: tag, message, metadata } = Schema.decodeUnknownSync(Described)(error)
  return { code, reason, message, metadata, tag }
}

/** Goes away and gives up as the job says, and takes its metadata along. */
const limited =
  ({ cancelMs, metadata = {}, timeoutMs = 20_000 }: Job) =>
  <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E | Cause.TimeoutError, R> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      call.pipe(
        Effect.provideService(Deadline.Current, now + timeoutMs),
        MetadataPropagation.with(metadata),
        (run) => (cancelMs === undefined ? run : Effect.timeout(run, cancelMs)),
        Effect.withSpan("job")
      )
    )

const answer = <E, R>(job: Job, schema: DescMessage, call: Effect.Effect<Message, E, R>): Effect.Effect<Answer, never, R> =>
  limited(job)(call).pipe(
    Effect.map((reply): Answer => ({ reply: toJson(schema, reply) })),
    Effect.catch((error) => Effect.succeed<Answer>({ error: failureOf(error) }))
  )

/** The replies until the end or the failure. */
const drain = <E, R>(job: Job, stream: Stream.Stream<TalkMessage, E, R>): Effect.Effect<Answer, never, R> =>
  Effect.suspend(() => {
    const replies: Array<ReturnType<typeof toJson>> = []
    const run = Stream.runForEach(stream, (reply) => Effect.sync(() => void replies.push(toJson(TalkMessageSchema, reply))))
    return limited(job)(run).pipe(
      Effect.map((): Answer => ({ replies })),
      Effect.catch((error) => Effect.succeed<Answer>({ replies, error: failureOf(error) }))
    )
  })

/** Makes calls and counts who answered. */
const many = Effect.fnUntraced(function* (job: Job, callee: Callers.Callee) {
  const { members = 0, rate = 100, times = 1 } = job
  const nodes = new Map<string, number>()
  const failures: Array<string> = []
  let failed = 0
  const call = limited(job)(callee.visit({ name: "many" })).pipe(
    Effect.match({
      onSuccess: ({ hops }) => {
        const node = hops[0]?.node ?? ""
        nodes.set(node, (nodes.get(node) ?? 0) + 1)
      },
      onFailure: (error) => {
        failed++
        if (failures.length < 5) failures.push(`${Date.now()} ${String(error)}`)
      }
    })
  )
  if (job.do === "visits") {
    if (members > 0) {
      // the first calls come before all members are connected
      const connected = Effect.delay(call, "5 millis").pipe(Effect.repeat({ until: () => nodes.size >= members }))
      yield* Effect.timeoutOption(connected, "20 seconds")
    }
    nodes.clear()
    failed = 0
    yield* Effect.repeat(call, { times: times - 1 })
  } else {
    const told = Effect.callback<void>((resume) => {
      process.once("SIGTERM", () => resume(Effect.void))
      process.stdin.once("end", () => resume(Effect.void)).resume()
    })
    yield* Console.log(JSON.stringify({ started: true }))
    const calls = yield* FiberSet.make()
    // calls begin at the rate whatever becomes of those before
    yield* Effect.raceFirst(Effect.repeat(FiberSet.run(calls, call), Schedule.fixed(1000 / rate)), told)
    yield* FiberSet.awaitEmpty(calls)
  }
  const result: Answer = { nodes: Object.fromEntries(nodes), failed, failures }
  return result
}, Effect.scoped)

const run = Effect.fnUntraced(function* (job: Job) {
  if (job.do === "list") {
    const discovery = yield* Discovery
    return { instances: yield* discovery.get(job.target) }
  }
  const callers = yield* Callers.Callers
  const { dialect, protocol = "grpc" } = job
  // gRPC's servers say which calls they have not begun; over HTTP/1.1 one that crosses the end of its connection is known to do no harm by its contract alone
  const retries = job.do === "load" && protocol === "http"
  const callee = yield* callers.get(job.target, protocol, { dialect, retries })
  const messages = (job.texts ?? []).map((text, i) => ({ text, number: BigInt(i) }))
  const message = JSON.stringify(job.message ?? {})
  switch (job.do) {
    case "visits":
    case "load":
      return yield* many(job, callee)
    case "visit":
      return yield* answer(job, VisitReplySchema, callee.visit(fromJsonString(VisitRequestSchema, message)))
    case "put":
      return yield* answer(job, ThingSchema, callee.putThing(fromJsonString(ThingSchema, message)))
    case "get":
      return yield* answer(job, ThingSchema, callee.getThing(fromJsonString(GetThingRequestSchema, message)))
    case "watch":
      return yield* drain(job, callee.watch(messages[0] ?? {}))
    case "talk":
      return yield* drain(job, callee.talk(Stream.fromIterable(messages)))
    case "collect":
      return yield* drain(job, Stream.fromEffect(callee.collect(Stream.fromIterable(messages))))
  }
})

const main = Effect.gen(function* () {
  const { jobs = [], name, registry } = yield* FleetConfig.decode(process.argv[2])
  const discovery = registry === undefined ? Static.layer({}) : Registry.layer(registry)
  yield* Effect.forEach(jobs, (job) => Effect.flatMap(run(job), (result) => Console.log(JSON.stringify(result))), { discard: true }).pipe(
    Effect.provideService(AppInfo, { id: "", name, version: "", metadata: {}, endpoints: [] }),
    Effect.provide(Callers.layer.pipe(Layer.provide(Channels.layer), Layer.provideMerge(discovery), Layer.provideMerge(Callers.tracer)))
  )
})

// not `runMain`, which ends the program at SIGTERM: a load has something to say then
Effect.runPromise(main).then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`)
    process.exit(1)
  }
)
