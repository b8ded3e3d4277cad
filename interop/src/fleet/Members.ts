/** Members and clients of the fleet as processes: ours, and those on Kratos v2 and v3. */
import * as Testing from "@effect-kratos/testing/Program"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import { Wrong } from "../Check.ts"
import * as Program from "../Program.ts"
import * as FleetConfig from "./FleetConfig.ts"

export type Kind = "v2" | "v3" | "ours"

export const title: Readonly<Record<Kind, string>> = { v2: "Kratos v2", v3: "Kratos v3", ours: "ours" }

const command = (kind: Kind, role: "node" | "client", config: FleetConfig.FleetConfig): readonly [string, ...ReadonlyArray<string>] => {
  const text = JSON.stringify(config)
  return kind === "ours"
    ? [process.execPath, path.join(import.meta.dirname, `${role}.ts`), text]
    : [Program.which(`kratos-fleet-${kind}`) ?? "", role, text]
}

const Ports = Schema.fromJsonString(Schema.Struct({ http: Schema.Int, grpc: Schema.Int }))
const isPorts = Schema.decodeUnknownOption(Ports)

export interface Member {
  readonly kind: Kind
  readonly id: string
  readonly http: number
  readonly grpc: number
  /** SIGTERM; waits until it has ended. Fails unless it ends with 0. */
  readonly leave: Effect.Effect<void, Wrong>
}

/** Starts a member, which has registered when it is there. */
export const start = (
  kind: Kind,
  config: FleetConfig.FleetConfig & { readonly id: string }
): Effect.Effect<Member, Testing.ProgramError, Scope.Scope> =>
  Effect.map(
    Testing.start(command(kind, "node", config), {
      ready: (line) => {
        const ports = isPorts(line)
        return ports._tag === "Some" ? ports.value : undefined
      }
    }),
    ({ ready, terminate }) => ({
      kind,
      id: config.id,
      ...ready,
      leave: terminate.pipe(
        Effect.timeout("20 seconds"),
        Effect.mapError((error) => new Wrong({ message: `${config.id}: ${String(error)}` })),
        Effect.flatMap(({ code, stderr }) =>
          code === 0 ? Effect.void : Effect.fail(new Wrong({ message: `${config.id} ended with ${code}: ${stderr.slice(-500)}` }))
        )
      )
    })
  )

type ClientConfig = Omit<FleetConfig.FleetConfig, "name" | "jobs">

/** Has a client do jobs, one after the other, and reads what they came to. */
export const run = Effect.fnUntraced(function* (kind: Kind, jobs: ReadonlyArray<FleetConfig.Job>, config: ClientConfig = {}) {
  const { code, stderr, stdout } = yield* Program.run(command(kind, "client", { ...config, name: "caller", jobs }), { seconds: 100 })
  const lines = stdout.split("\n").filter((line) => line.startsWith("{"))
  const answers = yield* Effect.forEach(lines, (line) => FleetConfig.decodeAnswer(line))
  if (code === 0 && answers.length === jobs.length) return answers
  return yield* new Wrong({ message: `the client of ${title[kind]} ended with ${code}: ${stderr.slice(-1000)}${stdout.slice(-500)}` })
})

export interface Load {
  readonly kind: Kind
  readonly job: FleetConfig.Job
  /** Ends the load and says what became of the calls. */
  readonly end: Effect.Effect<FleetConfig.Answer, unknown>
}

/** Has a client make calls at a rate until it is told to end. */
export const load = Effect.fnUntraced(function* (kind: Kind, job: FleetConfig.Job, config: ClientConfig = {}) {
  const last = yield* Deferred.make<string>()
  const program = yield* Testing.start(command(kind, "client", { ...config, name: "caller", jobs: [{ ...job, do: "load" }] }), {
    ready: (line) => (line === '{"started":true}' ? true : undefined),
    onLine: (line) => {
      if (line.startsWith("{")) Deferred.doneUnsafe(last, Effect.succeed(line))
    }
  })
  const end = program.terminate.pipe(
    Effect.andThen(Deferred.await(last)),
    Effect.timeout("30 seconds"),
    Effect.flatMap((line) => FleetConfig.decodeAnswer(line))
  )
  const made: Load = { kind, job, end }
  return made
})

/** How many calls of that name were interrupted at a member. */
export const interrupted = ({ http }: Member, name: string): Effect.Effect<number, unknown> =>
  Effect.tryPromise(async (signal) => {
    const response = await fetch(`http://127.0.0.1:${http}/v1/interrupted/${name}`, { signal })
    const { count = 0 } = (await response.json()) as { readonly count?: number } // proto3: absent is 0
    return count
  })

export const missing = Program.missing("kratos-fleet-v2", "kratos-fleet-v3")
