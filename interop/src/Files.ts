/** Temporary files of suites: each scope has a folder of its own, which goes with it. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-kratos-interop-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
)
