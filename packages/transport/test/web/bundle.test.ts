/** A contract and its browser client need nothing of Node: the bundler's own graph says so. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { isBuiltin } from "node:module"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

const bundle = (file: string) =>
  Effect.promise(async () => {
    const warnings: Array<string> = []
    const imports: Array<string> = []
    const build = await rolldown({
      input: fileURLToPath(new URL(file, import.meta.url)),
      platform: "browser",
      onwarn: (warning) => warnings.push(warning.message),
      plugins: [
        {
          name: "imports",
          moduleParsed: ({ importedIds, dynamicallyImportedIds }) => void imports.push(...importedIds, ...dynamicallyImportedIds)
        }
      ]
    })
    const { output } = await build.generate({ format: "esm" })
    await build.close()
    const code = output.flatMap((chunk) => (chunk.type === "chunk" ? [chunk.code] : [])).join("\n")
    const external = output.flatMap((chunk) =>
      chunk.type === "chunk" ? chunk.imports.filter((name) => !output.some((o) => o.fileName === name)) : []
    )
    return { warnings, imports, code, external }
  })

describe("in a browser", () => {
  it.effect("neither a contract nor its client imports Node", () =>
    Effect.gen(function* () {
      const { code, external, imports, warnings } = yield* bundle("page.ts")
      // the graph is the real one
      assert.isTrue(imports.some((id) => id.endsWith("/transport/src/web/WebClient.ts")))
      assert.isTrue(imports.some((id) => id.endsWith("/transport/src/Service.ts")))
      assert.deepStrictEqual(
        imports.filter((id) => id.startsWith("node:") || isBuiltin(id)),
        []
      )
      assert.deepStrictEqual(external, [])
      assert.deepStrictEqual(warnings, [])
      assert.notMatch(code, /\bBuffer\./)
    })
  )

  it.effect("the same test sees Node where it is", () =>
    Effect.gen(function* () {
      const { imports } = yield* bundle("../../src/Channels.ts")
      assert.isTrue(imports.some((id) => isBuiltin(id)))
    })
  )
})
