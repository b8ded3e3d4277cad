import { defineConfig } from "vitest/config"

// Vitest reads this file because every script passes `--config vitest.workspace.ts`.
const integration = process.env["INTEGRATION"] === "1"
// a file for machines to read, beside the usual output
const report = process.env["TEST_REPORT"]

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
      ...["core", "http2", "transport", "protoc-gen"].map((name) => project(name, `packages/${name}`)),
      ...["helloworld", "errors"].map((name) => project(`example-${name}`, `examples/${name}`)),
      project("scripts", "scripts"),
      project("interop", "interop"),
      project("bench", "bench")
    ]
  }
})
