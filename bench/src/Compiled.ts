/**
 * Subjects as JavaScript. Inside the repository Node strips the types of our packages at every start, which costs time and memory that nobody
 * has who installs them: published packages are JavaScript, as the peers' are. `compile` makes JavaScript of our own code and leaves dependencies where npm
 * has put them; `bundle` puts all that a program uses into one folder, as one deploys it.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { build } from "rolldown"
import { type BenchError, failed } from "./BenchError.ts"
import type { Subject } from "./Subject.ts"

/** Below `bench` and as deep as the sources, so that programs find the dependencies and their files. */
const folder = fileURLToPath(new URL("../.cache", import.meta.url))

/** `subjects/<file>.ts` and what it imports of ours. */
export const compile = (name: string, file: string): Effect.Effect<Subject, BenchError> =>
  make(name, file, `${folder}/${file}-compiled`, (id) => !/^[./]|^@effect-kratos\//.test(id))

/** `subjects/<file>.ts` and all that it imports. */
export const bundle = (name: string, file: string): Effect.Effect<Subject, BenchError> =>
  make(name, file, `${folder}/${file}-bundled`, () => false)

const make = (name: string, file: string, target: string, external: (id: string) => boolean): Effect.Effect<Subject, BenchError> =>
  Effect.tryPromise({
    try: async (): Promise<Subject> => {
      fs.rmSync(target, { recursive: true, force: true })
      await build({
        input: fileURLToPath(new URL(`subjects/${file}.ts`, import.meta.url)),
        platform: "node",
        external,
        output: { dir: target, format: "esm" }
      })
      return { name, command: [process.execPath, `${target}/${file}.js`], missing: undefined }
    },
    catch: (cause) => failed(`compiling ${file}: ${String(cause)}`)
  })
