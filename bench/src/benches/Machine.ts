/** What the benches share: the command line, the cores, the load programs and a folder that goes away with the run. */
import * as Effect from "effect/Effect"
import type { Scope } from "effect/Scope"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Arguments } from "../Arguments.ts"
import { BenchError } from "../BenchError.ts"
import { type Cores, which } from "../Cores.ts"
import type { Go } from "../Go.ts"

export interface Machine {
  readonly args: Arguments
  readonly cores: Cores
  readonly go: Go
  readonly folder: string
}

/** A folder that lives as long as the scope. */
export const temporaryFolder: Effect.Effect<string, never, Scope> = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-kratos-bench-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** The path of a load program; fails, saying how to get it. */
export const program = (name: string): Effect.Effect<string, BenchError> =>
  Effect.suspend(() => {
    const found = which(name)
    return found === undefined ? Effect.fail(missing(name)) : Effect.succeed(found)
  })

export const missing = (programs: string): BenchError =>
  new BenchError({ message: `${programs} not found on PATH. Debian, Ubuntu: apt-get install nghttp2-client wrk openssl`, exitCode: 2 })

/** Writes a file of the run and answers with its path. */
export const write = (machine: Machine, name: string, bytes: Uint8Array): string => {
  const file = path.join(machine.folder, name)
  fs.writeFileSync(file, bytes)
  return file
}
