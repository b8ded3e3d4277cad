import { defineConfig } from "vitest/config"

// Vitest reads this file because every script passes `--config vitest.workspace.ts`.
const integration = process.env["INTEGRATION"] === "1"

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
    projects: [
      ...["core", "http2", "transport", "protoc-gen"].map((name) => project(name, `packages/${name}`)),
      ...["helloworld", "errors"].map((name) => project(`example-${name}`, `examples/${name}`)),
      project("scripts", "scripts"),
      project("interop", "interop"),
      project("bench", "bench")
    ]
  }
})
