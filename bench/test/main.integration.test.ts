/** The command is run for a moment, so that no bench rots unseen. Needs h2load and openssl. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { benches, parse } from "../src/Arguments.ts"
import { select } from "../src/benches/Benches.ts"
import { temporaryFolder } from "../src/benches/Machine.ts"
import * as Cores from "../src/Cores.ts"
import * as Go from "../src/Go.ts"
import { targets } from "../src/Targets.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const missing = ["h2load", "openssl"].filter((program) => Cores.which(program) === undefined)
const ours = [...new Set(["effect-kratos", "effect-kratos-aspects", "effect-kratos-compiled", ...targets.map(({ subject }) => subject)])]

describe.skipIf(missing.length > 0)(`the command (needs h2load and openssl)`, () => {
  it("gives figures of ours in each bench", { timeout: 200_000 }, async () => {
    const pace = ["--seconds", "0.3", "--warmup", "0", "--rounds", "1"]
    const { stdout } = await promisify(execFile)(process.execPath, [main, ...pace, "--json", "--subjects", ours.join(",")], {
      timeout: 190_000
    })
    const rows = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>) // one object a line
    for (const row of rows) assert.isAbove(Number(row["median"]), 0, JSON.stringify(row))
    assert.deepStrictEqual([...new Set(rows.map((row) => row["bench"]))], [...benches])
    for (const { bench, load, subject, unit } of targets) {
      const found = rows.some((row) => row["bench"] === bench && row["load"] === load && row["subject"] === subject && row["unit"] === unit)
      assert.isTrue(found, `${bench} ${load} ${subject} ${unit}`)
    }
  })

  it.effect("has the peers that the targets name", () =>
    Effect.gen(function* () {
      const args = Result.getOrThrow(parse([]))
      const all = yield* select({ args, cores: Cores.detect(), go: Go.none, folder: yield* temporaryFolder })
      for (const { bench, peer } of targets) {
        // a figure that is a target by itself
        if (peer === undefined) continue
        const subjects = all.find(({ name }) => name === bench)?.subjects.map(({ name }) => name)
        assert.include(subjects ?? [], peer, bench)
      }
    }).pipe(Effect.scoped)
  )
})
