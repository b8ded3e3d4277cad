/** The benches by name. */
import * as Effect from "effect/Effect"
import type { Scope } from "effect/Scope"
import type { BenchName } from "../Arguments.ts"
import type { Bench } from "../Bench.ts"
import { BenchError } from "../BenchError.ts"
import * as Aegis from "./Aegis.ts"
import * as Client from "./Client.ts"
import * as Codec from "./Codec.ts"
import * as Headers from "./Headers.ts"
import * as Latency from "./Latency.ts"
import type { Machine } from "./Machine.ts"
import * as Memory from "./Memory.ts"
import * as Rest from "./Rest.ts"
import * as Selector from "./Selector.ts"
import * as Stack from "./Stack.ts"
import * as Startup from "./Startup.ts"
import * as Streams from "./Streams.ts"
import * as Unary from "./Unary.ts"

type Make = (machine: Machine) => Effect.Effect<Bench, BenchError, Scope>

const benches: Readonly<Record<BenchName, Make>> = {
  unary: Unary.unary,
  headers: Headers.headers,
  aspects: Unary.aspects,
  guarded: Unary.guarded,
  tls: Unary.tls,
  client: Client.client,
  download: Streams.download,
  upload: Streams.upload,
  chat: Streams.chat,
  echo: Streams.echo,
  rest: Rest.rest,
  latency: Latency.latency,
  startup: Startup.startup,
  memory: Memory.memory,
  codec: Codec.codec,
  aegis: Aegis.aegis,
  stack: Stack.stack,
  selector: Selector.selector
}

/** The benches that the arguments ask for. Fails when a load program is missing or a named subject exists in none of them. */
export const select = Effect.fnUntraced(function* (machine: Machine): Effect.fn.Return<ReadonlyArray<Bench>, BenchError, Scope> {
  const { only, subjects } = machine.args
  const all: Array<Bench> = []
  for (const name of only) all.push(yield* benches[name](machine))
  const known = new Set(all.flatMap((bench) => bench.subjects.map(({ name }) => name)))
  const unknown = subjects.filter((name) => !known.has(name))
  if (unknown.length > 0) {
    return yield* new BenchError({ message: `no such subject: ${unknown.join(", ")}; there are ${[...known].join(", ")}`, exitCode: 2 })
  }
  if (subjects.length === 0) return all
  return all.map((bench) => withSubjects(bench, subjects))
})

/** The same bench with some of its subjects. */
const withSubjects = (bench: Bench, names: ReadonlyArray<string>): Bench => ({
  ...bench,
  subjects: bench.subjects.filter(({ name }) => names.includes(name))
})
