/**
 * Subjects of ours as JavaScript. Inside the repository Node strips the types of our packages at every start, which costs time and memory that nobody
 * has who installs them: published packages are JavaScript, as the peers' are. Only our own code is compiled; dependencies stay where npm has put them.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { build } from "rolldown"
import { type BenchError, failed } from "./BenchError.ts"
import type { Subject } from "./Subject.ts"

/** Below `bench`, so that Node finds the dependencies. */
const folder = fileURLToPath(new URL("../.cache/compiled", import.meta.url))

/** Compiles `subjects/<file>.ts` and what it imports of ours. */
export const compile = (name: string, file: string): Effect.Effect<Subject, BenchError> =>
  Effect.tryPromise({
    try: async (): Promise<Subject> => {
      const target = `${folder}/${file}`
      fs.rmSync(target, { recursive: true, force: true })
      await build({
        input: fileURLToPath(new URL(`subjects/${file}.ts`, import.meta.url)),
        platform: "node",
        external: (id) => !/^[./]|^@effect-kratos\//.test(id),
        output: { dir: target, format: "esm" }
      })
      return { name, command: [process.execPath, `${target}/${file}.js`], missing: undefined }
    },
    catch: (cause) => failed(`compiling ${file}: ${String(cause)}`)
  })
