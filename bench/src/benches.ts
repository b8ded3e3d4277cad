/** The benches: what is called, by which load program, and who answers. */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Scope } from "effect/Scope"
import type { Arguments, BenchName } from "./Arguments.ts"
import type { Bench } from "./Bench.ts"
import { BenchError } from "./BenchError.ts"
import * as Check from "./Check.ts"
import { type Cores, which } from "./Cores.ts"
import * as Load from "./Load.ts"

export const subjects: Readonly<Record<BenchName, ReadonlyArray<string>>> = {
  unary: ["http2", "grpc-js", "nice-grpc", "connect-node", "effect-kratos"],
  rest: ["http", "fastify", "hono", "effect-http", "effect-kratos"]
}

const chosen = (bench: BenchName, args: Arguments): ReadonlyArray<string> =>
  args.subjects.length === 0 ? subjects[bench] : subjects[bench].filter((name) => args.subjects.includes(name))

const missing = (programs: string) =>
  new BenchError({ message: `${programs} not found on PATH. Debian, Ubuntu: apt-get install nghttp2-client wrk`, exitCode: 2 })

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-kratos-bench-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

const unary = Effect.fnUntraced(function* (args: Arguments, cores: Cores): Effect.fn.Return<Bench, BenchError, Scope> {
  const program = which("h2load")
  if (program === undefined) return yield* missing("h2load")
  const body = path.join(yield* temporaryFolder, "frame.bin")
  fs.writeFileSync(body, Check.frame())
  return {
    name: "unary",
    unit: "calls/s",
    url: (port) => `http://127.0.0.1:${port}${Check.method}`,
    check: Check.unary,
    load: Load.h2load(program, cores.load, { body, headers: ["content-type: application/grpc", "te: trailers"] }),
    subjects: chosen("unary", args),
    shapes: args.shapes.length > 0 ? args.shapes : [{ connections: 10, streams: 10 }]
  }
})

const rest = Effect.fnUntraced(function* (args: Arguments, cores: Cores): Effect.fn.Return<Bench, BenchError> {
  const wrk = which("wrk")
  const h2load = which("h2load")
  const load =
    wrk !== undefined
      ? Load.wrk(wrk, cores.load)
      : h2load !== undefined
        ? Load.h2load(h2load, cores.load, { http1: true })
        : yield* missing("wrk, or h2load in its place,")
  const single = args.shapes.filter(({ streams }) => streams === 1)
  return {
    name: "rest",
    unit: "requests/s",
    url: (port) => `http://127.0.0.1:${port}${Check.path}`,
    check: Check.rest,
    load,
    subjects: chosen("rest", args),
    shapes: single.length > 0 ? single : [{ connections: 64, streams: 1 }]
  }
})

/** The benches that the arguments ask for. Fails when a load program is missing or a named subject exists in none of them. */
export const select = Effect.fnUntraced(function* (
  args: Arguments,
  cores: Cores
): Effect.fn.Return<ReadonlyArray<Bench>, BenchError, Scope> {
  const known = args.only.flatMap((name) => subjects[name])
  const unknown = args.subjects.filter((name) => !known.includes(name))
  if (unknown.length > 0) {
    return yield* new BenchError({ message: `no such subject: ${unknown.join(", ")}; there are ${known.join(", ")}`, exitCode: 2 })
  }
  const all: Array<Bench> = []
  for (const name of args.only) all.push(yield* name === "unary" ? unary(args, cores) : rest(args, cores))
  return all
})
