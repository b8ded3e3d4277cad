/** The fleet on a real registry: records, discovery and balancing, calls that go from member to member, and members that leave under load. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { check } from "../Check.ts"
import * as Suite from "../suites/Suite.ts"
import { interruptedOnce } from "./Direct.ts"
import type { Answer, Job } from "./FleetConfig.ts"
import * as Members from "./Members.ts"
import * as RealRegistry from "./RealRegistry.ts"

const kinds = ["v2", "v3", "ours"] as const
const protocols = ["grpc", "http"] as const
const over = { grpc: "gRPC", http: "HTTP" } as const

type Cases = Stream.Stream<Suite.CaseResult, unknown, Scope.Scope>

/** Instances that a record has to be right for. */
const instances = [
  {
    title: "with metadata",
    config: {
      id: "7f3-ä",
      name: "golden",
      version: "v1.2.3",
      metadata: { zone: "b", weight: "10", "a-b": "<&> ü" },
      endpoints: ["http://127.0.0.1:18000", "grpc://127.0.0.1:19000"]
    }
  },
  { title: "bare", config: { id: "7f4", name: "golden", endpoints: ["grpc://127.0.0.1:19000"] } }
]

/** The same instance, registered by one after the other. */
const records = (registry: RealRegistry.RealRegistry): Cases =>
  Stream.mapEffect(Stream.fromIterable(instances), ({ config, title }) =>
    Suite.attempt(
      `what is written is the same, ${title}`,
      Effect.gen(function* () {
        const found = yield* Effect.forEach(kinds, (kind) =>
          Effect.gen(function* () {
            const member = yield* Members.start(kind, { ...config, registry: registry.observed })
            const record = yield* registry.record(config.name, config.id)
            yield* member.leave
            const after = yield* registry.record(config.name, config.id)
            yield* check(() => assert.equal(after, undefined, `${kind} left its record behind`))
            return record
          }).pipe(Effect.scoped)
        )
        yield* check(() => {
          assert.ok(found[0]?.includes(config.id), `v2 wrote ${found[0]}`)
          assert.equal(found[1], found[0])
          assert.equal(found[2], found[0])
        })
      })
    )
  )

/** Instances with all that an instance can have, at addresses where somebody listens. */
const readable = ({ grpc, http }: Members.Member) =>
  kinds.map((kind) => ({
    ...instances[0]!.config,
    name: "read",
    id: `by-${kind}`,
    endpoints: [`http://127.0.0.1:${http}`, `grpc://127.0.0.1:${grpc}`]
  }))

/** Each of the three lists what all three have registered. */
const reading = (registry: RealRegistry.RealRegistry, written: ReturnType<typeof readable>): Effect.Effect<Suite.CaseResult> =>
  Suite.attempt(
    "each reads what the others write",
    Effect.gen(function* () {
      const wanted = written.map(sorted).sort(byId)
      const lists = yield* Effect.forEach(
        kinds,
        (kind) => Members.run(kind, [{ do: "list", target: "read" }], { registry: registry.config }),
        { concurrency: 3 }
      )
      yield* Effect.forEach(lists, ([answer], i) =>
        check(() =>
          assert.deepEqual([...(answer?.instances ?? [])].map(sorted).sort(byId), wanted, `${kinds[i]} reads ${JSON.stringify(answer)}`)
        )
      )
    })
  )

const byId = (a: { readonly id: string }, b: { readonly id: string }): number => (a.id < b.id ? -1 : 1)

/** Consul keeps no order of endpoints. */
const sorted = <A extends { readonly endpoints: ReadonlyArray<string>; readonly id: string }>(instance: A) => ({
  ...instance,
  endpoints: [...instance.endpoints].sort()
})

/** How one client's calls by discovery are spread over the members. */
const spread = (registry: RealRegistry.RealRegistry, client: Members.Kind, ids: ReadonlyArray<string>): Cases =>
  Stream.unwrap(
    Effect.gen(function* () {
      const jobs = protocols.map((protocol): Job => ({
        do: "visits",
        target: "discovery:///fleet",
        protocol,
        dialect: "binary",
        members: ids.length,
        times: 60
      }))
      const answers = yield* Members.run(client, jobs, { registry: registry.config })
      return Stream.mapEffect(Stream.fromIterable(protocols), (protocol, i) =>
        Suite.attempt(
          `calls of ${Members.title[client]} over ${over[protocol]} are spread over all members`,
          check(() => {
            const answer = answers[i]!
            assert.equal(answer.failed ?? 0, 0, JSON.stringify(answer))
            for (const id of ids) {
              const calls = answer.nodes?.[id] ?? 0
              assert.ok(calls >= 10 && calls <= 30, `${id} has ${calls} of 60: ${JSON.stringify(answer.nodes)}`)
            }
          })
        )
      )
    })
  )

interface Hop {
  readonly node: string
  readonly traceId?: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly timeLeftMs?: string
  readonly transport?: string
}
/** A VisitReply, of which a job's reply is the JSON. */
const hopsOf = (answer: Answer): ReadonlyArray<Hop> => {
  assert.ok(answer.reply, JSON.stringify(answer))
  return (answer.reply as unknown as { readonly hops: ReadonlyArray<Hop> }).hops
}

/** Calls of a client that go over three members, found by discovery each. */
const journeys = (registry: RealRegistry.RealRegistry, members: Readonly<Record<Members.Kind, Members.Member>>): Cases => {
  const travel = (client: Members.Kind, path: ReadonlyArray<Members.Kind>, wires: ReadonlyArray<"grpc" | "http">): Cases =>
    Stream.unwrap(
      Effect.gen(function* () {
        const [first, ...rest] = path
        const where = `${[client, ...path].map((kind) => Members.title[kind]).join(" → ")} over ${[...new Set(wires)].map((wire) => over[wire]).join(" and ")}`
        const name = `${[client, ...path, ...wires].join("-")}`
        const route = rest.map((kind, i) => ({ target: `discovery:///hop-${kind}`, protocol: wires[i + 1]! }))
        const to = { target: `discovery:///hop-${first}`, protocol: wires[0]!, dialect: "binary" } as const
        const metadata = { "x-md-global-user": "ada", "x-md-local-step": "1" }
        const jobs: ReadonlyArray<Job> = [
          { do: "visit", ...to, message: { name, route }, metadata, timeoutMs: 4000 },
          { do: "visit", ...to, message: { name, route, failReason: "PLACE_BUSY" } },
          { do: "visit", ...to, message: { name: `${name}-late`, route, waitMs: 9000 }, timeoutMs: 500 },
          { do: "visit", ...to, message: { name: `${name}-gone`, route, waitMs: 9000 }, cancelMs: 500 }
        ]
        const answers = yield* Members.run(client, jobs, { registry: registry.config })
        const last = members[path.at(-1)!]
        const judge = (hops: (hops: ReadonlyArray<Hop>) => void) => check(() => hops(hopsOf(answers[0]!)))
        const cases: ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown>]> = [
          [
            "each member is visited",
            judge((hops) => {
              assert.deepEqual(
                hops.map(({ node, transport }) => [node, transport]),
                path.map((kind, i) => [members[kind].id, wires[i]])
              )
            })
          ],
          [
            "one trace",
            judge((hops) => {
              assert.match(hops[0]?.traceId ?? "", /^(?!0+$)[0-9a-f]{32}$/)
              for (const { traceId } of hops) assert.equal(traceId, hops[0]?.traceId)
            })
          ],
          [
            "x-md-global- goes all the way, x-md-local- one hop",
            judge((hops) => {
              assert.deepEqual(
                hops.map(({ metadata }) => [metadata?.["x-md-global-user"], metadata?.["x-md-local-step"]]),
                path.map((_, i) => ["ada", i === 0 ? "1" : undefined])
              )
            })
          ],
          [
            "an error comes back through all members",
            check(() => {
              const { error } = answers[1]!
              assert.deepEqual(
                [error?.code, error?.reason, error?.message, error?.metadata],
                [409, "PLACE_BUSY", `${name} ü`, { name, node: last.id }]
              )
              if (client === "ours") assert.equal(error?.tag, "PlaceBusy")
            })
          ],
          ["a deadline ends the work at the last member", interruptedOnce(last, `${name}-late`)],
          ["a caller that goes away ends the work at the last member", interruptedOnce(last, `${name}-gone`)],
          ...(wires.every((wire) => wire === "grpc")
            ? [
                [
                  "the deadline shrinks on its way",
                  judge((hops) => {
                    const left = hops.map(({ timeLeftMs }) => Number(timeLeftMs))
                    assert.ok(
                      // each member rounds for itself
                      left.every((time, i) => time > 0 && time <= (left[i - 1] ?? 4000) + 5),
                      `left: ${left.join(", ")} ms`
                    )
                  })
                ] as const
              ]
            : [])
        ]
        return Stream.mapEffect(Stream.fromIterable(cases), ([what, run]) => Suite.attempt(`${where}: ${what}`, run))
      })
    )
  return Stream.fromIterable([
    travel("v3", ["v2", "ours", "v3"], ["grpc", "grpc", "grpc"]),
    travel("v2", ["v3", "ours", "v2"], ["grpc", "grpc", "grpc"]),
    travel("ours", ["ours", "v3", "ours"], ["grpc", "grpc", "grpc"]),
    travel("v3", ["v3", "ours", "v2"], ["http", "http", "http"]),
    travel("ours", ["ours", "v2", "ours"], ["http", "http", "grpc"])
  ]).pipe(Stream.flatMap((cases) => cases))
}

/** Nobody's call fails, and the others have what the one that left had. */
const untouched = (answer: Answer, left: string) =>
  check(() => {
    assert.equal(answer.failed ?? 0, 0, JSON.stringify(answer))
    const calls = answer.nodes ?? {}
    assert.ok((calls[left] ?? 0) > 0, `${left} had no call: ${JSON.stringify(calls)}`)
    for (const [id, count] of Object.entries(calls)) assert.ok(count >= (calls[left] ?? 0), `${id}: ${JSON.stringify(calls)}`)
  })

/** Starts the loads, lets a member leave, and judges each load as a case. */
const leaving = (
  registry: RealRegistry.RealRegistry,
  who: string,
  leaves: Members.Member,
  loads: ReadonlyArray<readonly [client: Members.Kind, protocol: "grpc" | "http", rate: number]>
): Cases =>
  Stream.unwrap(
    Effect.gen(function* () {
      const running = yield* Effect.forEach(
        loads,
        ([client, protocol, rate]) =>
          Members.load(
            client,
            { do: "load", target: "discovery:///fleet", protocol, dialect: "binary", rate, timeoutMs: 5000 },
            { registry: registry.config }
          ),
        { concurrency: "unbounded" }
      )
      yield* Effect.sleep(1500)
      const left = yield* Effect.exit(leaves.leave)
      yield* Effect.sleep(1500)
      const answers = yield* Effect.forEach(running, ({ end }) => Effect.result(end), { concurrency: "unbounded" })
      const ended = Suite.attempt(
        `${who} leaves and ends with 0`,
        Effect.suspend(() => left)
      )
      return Stream.concat(
        Stream.fromEffect(ended),
        Stream.mapEffect(Stream.fromIterable(running), (load, i) =>
          Suite.attempt(
            `${who} leaves, and no call of ${Members.title[load.kind]} over ${over[load.job.protocol ?? "grpc"]} fails`,
            Effect.flatMap(Effect.fromResult(answers[i]!), (answer) => untouched(answer, leaves.id))
          )
        )
      )
    })
  )

const cases = (registry: RealRegistry.RealRegistry): Cases =>
  Stream.unwrap(
    Effect.gen(function* () {
      const join = (prefix: string, name: (kind: Members.Kind) => string) =>
        Effect.map(
          Effect.forEach(kinds, (kind) =>
            Members.start(kind, { id: `${prefix}-${kind}`, name: name(kind), version: "v1", registry: registry.config })
          ),
          ([v2, v3, ours]) => ({ v2: v2!, v3: v3!, ours: ours! })
        )
      const hops = yield* join("hop", (kind) => `hop-${kind}`)
      const fleet = yield* join("fleet", () => "fleet")
      const written = readable(hops.ours)
      yield* Effect.forEach(kinds, (kind, i) => Members.start(kind, { ...written[i]!, registry: registry.config }))
      const all = Effect.forEach(["fleet", "read"], (name) => registry.listed(name, kinds.length))
      const ids = kinds.map((kind) => fleet[kind].id)
      return Stream.fromIterable<Cases>([
        records(registry),
        Stream.fromEffect(Suite.attempt("all members are found", all)),
        Stream.fromEffect(reading(registry, written)),
        ...kinds.map((kind) => spread(registry, kind, ids)),
        journeys(registry, hops),
        leaving(registry, "our member", fleet.ours, [
          ["v2", "grpc", 40],
          ["v2", "http", 40],
          ["v3", "grpc", 40],
          ["v3", "http", 40],
          ["ours", "grpc", 40]
        ]),
        leaving(registry, "a member of Kratos v3", fleet.v3, [
          ["ours", "grpc", 100],
          ["ours", "http", 100]
        ])
      ]).pipe(Stream.flatMap((one) => one))
    })
  )

export const part = (kind: RealRegistry.RegistryKind): Suite.Part => ({
  name: `fleet on ${kind}`,
  missing: () => Members.missing() ?? RealRegistry.missing[kind](),
  seconds: 200,
  run: Stream.scoped(Stream.unwrap(Effect.map(RealRegistry.start[kind], cases)))
})
