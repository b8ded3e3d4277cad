import { existsSync, readdirSync } from "node:fs"
import { basename } from "node:path"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

// Vitest reads this file because every script passes `--config vitest.workspace.ts`.
const integration = process.env["INTEGRATION"] === "1"
// a file for machines to read, beside the usual output
const report = process.env["TEST_REPORT"]

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** The folders of `parent` that have tests, so that a new package is tested without being listed. */
const tested = (parent: string): ReadonlyArray<string> =>
  existsSync(at(parent))
    ? readdirSync(at(parent))
        .map((name) => `${parent}/${name}`)
        .filter((folder) => existsSync(at(`${folder}/test`)))
    : []

const project = (name: string, root: string) => ({
  test: {
    name,
    root,
    include: integration ? ["test/**/*.integration.test.ts"] : ["test/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**", ...(integration ? [] : ["test/**/*.integration.test.ts"])],
    testTimeout: integration ? 120_000 : 15_000,
    hookTimeout: integration ? 300_000 : 15_000
  }
})

export default defineConfig({
  test: {
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
    projects: [
      ...tested("packages").map((folder) => project(basename(folder), folder)),
      ...tested("packages/contrib").map((folder) => project(`contrib-${basename(folder)}`, folder)),
      ...tested("examples").map((folder) => project(`example-${basename(folder)}`, folder)),
      ...["scripts", "interop", "bench", "fuzz"].map((folder) => project(folder, folder))
    ]
  }
})
