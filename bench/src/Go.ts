/** The peers in Go, built into the user's cache folder; the first run fetches their modules, later ones only look whether something changed. */
import * as Effect from "effect/Effect"
import * as Console from "effect/Console"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as Child from "./Child.ts"
import { which } from "./Cores.ts"

export interface Go {
  /** Where the programs are. */
  readonly folder: string
  /** Why they are not there; undefined when they are. */
  readonly missing: string | undefined
}

export const programs = ["grpc-go", "kratos"] as const

const BUILD_SECONDS = 300

const folder = (): string => path.join(process.env["XDG_CACHE_HOME"] ?? path.join(os.homedir(), ".cache"), "effect-kratos", "bench")

/** Whether one of these subjects is written in Go; none means all subjects. */
export const wanted = (subjects: ReadonlyArray<string>): boolean =>
  subjects.length === 0 || subjects.some((name) => programs.some((program) => name.startsWith(program)))

/** What there is when nobody has asked for the programs. */
export const none: Go = { folder: "", missing: "not asked for" }

/** Builds the programs. Without Go, or when the build fails, says so in `missing`. */
export const build: Effect.Effect<Go> = Effect.gen(function* () {
  const target = folder()
  const go = which("go")
  if (go === undefined) return { folder: target, missing: "no go on PATH" }
  yield* Console.error("building the peers in Go")
  const source = fileURLToPath(new URL("../peers/go", import.meta.url))
  const built = yield* Effect.result(
    Child.run([go, "-C", source, "build", "-o", `${target}/`, ...programs.map((name) => `./${name}`)], BUILD_SECONDS, { GOMAXPROCS: "" })
  )
  if (built._tag === "Success") return { folder: target, missing: undefined }
  return { folder: target, missing: built.failure.message.trim().split("\n").at(-1) ?? "its build failed" }
})
