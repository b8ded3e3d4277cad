/** Clients and members in pairs, without a registry: errors, deadlines, formats, streams; and what programs ask every member about. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { check, Wrong } from "../Check.ts"
import * as Program from "../Program.ts"
import * as Suite from "../suites/Suite.ts"
import * as Members from "./Members.ts"
import * as Pairs from "./Pairs.ts"

const member = (kind: Members.Kind, options: { readonly json?: "std" } = {}) =>
  Members.start(kind, { id: `member-${kind}`, name: "alone", ...options })

/** The client does the jobs of all cases, then each is judged. */
export const pair = (client: Members.Kind, kind: Members.Kind): Suite.Part => ({
  name: `direct: client of ${Members.title[client]}, member ${Members.title[kind]}`,
  missing: Members.missing,
  seconds: 100,
  run: Stream.unwrap(
    Effect.gen(function* () {
      const to = yield* member(kind)
      const cases = Pairs.cases(client, to)
      const answers = yield* Members.run(
        client,
        cases.map(({ job }) => job)
      )
      return Stream.mapEffect(Stream.fromIterable(cases), ({ check: judge, interrupts, name }, i) =>
        Suite.attempt(
          name,
          Effect.andThen(
            check(() => judge(answers[i]!)),
            interrupts === undefined ? Effect.void : interruptedOnce(to, interrupts)
          )
        )
      )
    })
  )
})

export const interruptedOnce = (member: Members.Member, name: string) =>
  Members.interrupted(member, name).pipe(
    Effect.flatMap((count) =>
      count === 1 ? Effect.void : Effect.fail(new Wrong({ message: `${count} visits were interrupted at ${member.id}` }))
    ),
    Effect.retry({ schedule: Schedule.spaced("50 millis"), times: 60 })
  )

const grpcurl = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(Program.run([Program.which("grpcurl") ?? "", "-plaintext", ...args], { seconds: 20 }), ({ code, stderr, stdout }) =>
    code === 0 ? Effect.succeed(stdout) : Effect.fail(new Wrong({ message: `grpcurl ended with ${code}: ${stderr}` }))
  )

const ask = (port: number, method: string, path: string, headers: Record<string, string>, body?: string) =>
  Effect.tryPromise(async (signal) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, signal, ...(body === undefined ? {} : { body }) })
    return { status: response.status, type: response.headers.get("content-type"), text: await response.text() }
  })

const kinds: ReadonlyArray<Members.Kind> = ["ours", "v2", "v3"]

/** Reflection, health and formats as programs that are nobody's client see them. */
export const asked: Suite.Part = {
  name: "direct: asked by hand",
  missing: Program.missing("kratos-fleet-v2", "kratos-fleet-v3", "grpcurl"),
  seconds: 60,
  run: Stream.unwrap(
    Effect.gen(function* () {
      const [ours, v2, v3] = yield* Effect.forEach(kinds, (kind) => member(kind), { concurrency: 3 })
      const all = [ours!, v2!, v3!]
      const address = ({ grpc }: Members.Member) => `127.0.0.1:${grpc}`
      const described = (one: Members.Member, symbol: string) => grpcurl(address(one), "describe", symbol)
      const cases: ReadonlyArray<readonly [name: string, run: Effect.Effect<unknown, unknown>]> = [
        [
          "reflection describes the same service and messages",
          Effect.forEach(["fleet.v1.Fleet", "fleet.v1.VisitRequest", "fleet.v1.Thing"], (symbol) =>
            Effect.flatMap(
              Effect.forEach(all, (one) => described(one, symbol)),
              ([a, b, c]) => check(() => assert.deepEqual([a, a], [b, c]))
            )
          )
        ],
        [
          "a call by reflection alone",
          Effect.forEach(all, (one) =>
            Effect.flatMap(grpcurl("-d", '{"name":"x"}', address(one), "fleet.v1.Fleet/Visit"), (text) =>
              check(() => assert.equal((JSON.parse(text) as { hops: [{ node: string }] }).hops[0].node, one.id))
            )
          )
        ],
        [
          "health of the whole server, checked and watched",
          Effect.forEach(all, (one) =>
            Effect.gen(function* () {
              const once = yield* grpcurl(address(one), "grpc.health.v1.Health/Check")
              yield* check(() => assert.match(once, /"SERVING"/))
              // it has no end, so the time limit is one
              const watched = yield* Program.run(
                [Program.which("grpcurl") ?? "", "-plaintext", "-max-time", "1", address(one), "grpc.health.v1.Health/Watch"],
                { seconds: 10 }
              )
              yield* check(() => assert.match(watched.stdout, /^\s*\{\s*"status": "SERVING"\s*\}\s*$/))
            })
          )
        ],
        [
          "our member that leaves tells those who watch its health, which Kratos' clients do",
          Effect.gen(function* () {
            const leaves = yield* Members.start("ours", { id: "member-leaves", name: "alone" })
            const watching = yield* Effect.forkChild(
              Program.run(
                [Program.which("grpcurl") ?? "", "-plaintext", "-max-time", "15", address(leaves), "grpc.health.v1.Health/Watch"],
                {
                  seconds: 20
                }
              )
            )
            yield* Effect.sleep(1000)
            yield* leaves.leave
            const { stdout } = yield* Fiber.join(watching)
            yield* check(() => assert.deepEqual(stdout.match(/"[A-Z_]+"/g), ['"SERVING"', '"NOT_SERVING"'], stdout))
          }).pipe(Effect.scoped)
        ],
        [
          "names with underscores and names in camel case are read",
          Effect.forEach(all, (one) =>
            Effect.forEach(
              [
                `{"big_number":"9007199254740993","main_color":"COLOR_RED","created_at":"2024-01-01T00:00:00Z","raw_data":"AA=="}`,
                `{"bigNumber":9007199254740993,"mainColor":1,"createdAt":"2024-01-01T00:00:00Z","rawData":"AA=="}`
              ],
              (body) =>
                Effect.gen(function* () {
                  const type = one.kind === "v3" ? "application/protojson" : "application/json"
                  const answer = yield* ask(one.http, "PUT", "/v1/things", { "content-type": type, accept: type }, body)
                  yield* check(() => {
                    assert.deepEqual([answer.status, answer.type], [200, type], answer.text)
                    const { bigNumber, createdAt, mainColor, rawData } = JSON.parse(answer.text) as Record<string, unknown>
                    assert.deepEqual(
                      { bigNumber, createdAt, mainColor, rawData },
                      { bigNumber: "9007199254740993", createdAt: "2024-01-01T00:00:00Z", mainColor: "COLOR_RED", rawData: "AA==" }
                    )
                  })
                })
            )
          )
        ],
        [
          "a client of v3 by hand, without Accept, sees the same JSON of Go's structs where ours is told to",
          Effect.gen(function* () {
            const std = yield* Members.start("ours", { id: "member-std", name: "alone", json: "std" })
            const body = `{"id":"<a>","big_number":9007199254740993,"main_color":2,"created_at":{"seconds":5},"raw_data":"AA=="}`
            const answers = yield* Effect.forEach([std, v3!], ({ http }) =>
              ask(http, "PUT", "/v1/things", { "content-type": "application/json", accept: "" }, body)
            )
            yield* check(() => assert.deepEqual(answers[0], answers[1]))
            yield* check(() => assert.match(answers[1]!.text, /"big_number":9007199254740993,"main_color":2,"created_at":\{"seconds":5\}/))
          }).pipe(Effect.scoped)
        ],
        [
          "errors over HTTP have the same status, type and content",
          Effect.forEach(["application/json", "application/proto"], (accept) =>
            Effect.gen(function* () {
              const answers = yield* Effect.forEach(all, ({ http, kind }) =>
                ask(
                  http,
                  "POST",
                  "/v1/visits",
                  { "content-type": kind === "v3" ? "application/protojson" : "application/json", accept },
                  `{"name":""}`
                )
              )
              const [mine, ...theirs] = answers.map(({ status, text, type }) => ({
                status,
                type,
                content: accept === "application/json" ? contentOf(text) : text
              }))
              yield* check(() => assert.deepEqual([mine, mine], theirs))
            })
          )
        ]
      ]
      return Stream.mapEffect(Stream.fromIterable(cases), ([name, run]) => Suite.attempt(name, run))
    })
  )
}

/** Go may leave empty metadata out, or write null. */
const contentOf = (text: string): unknown => {
  const { metadata, ...rest } = JSON.parse(text) as { readonly metadata?: unknown } // the body of an error
  return { ...rest, metadata: metadata ?? {} }
}
