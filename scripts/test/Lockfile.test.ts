import { assert, describe, it } from "@effect/vitest"
import * as Lockfile from "../src/Lockfile.ts"

describe("Lockfile", () => {
  it.each([
    ["@oxfmt/binding-linux-x64-musl", { os: ["linux"], cpu: ["x64"], libc: ["musl"] }],
    ["@oxfmt/binding-linux-arm-gnueabihf", { os: ["linux"], cpu: ["arm"], libc: ["glibc"] }],
    ["@oxfmt/binding-win32-arm64-msvc", { os: ["win32"], cpu: ["arm64"] }],
    ["@bufbuild/buf-linux-aarch64", { os: ["linux"], cpu: ["arm64"] }],
    ["@effect/tsgo-darwin-x64", { os: ["darwin"], cpu: ["x64"] }],
    ["fsevents", undefined],
    ["@rolldown/binding-wasm32-wasi", undefined]
  ])("reads the platform of %s", (name, expected) => {
    assert.deepStrictEqual(Lockfile.platformOf(name), expected)
  })

  const lock: Lockfile.Lockfile = {
    packages: {
      "": {},
      "node_modules/tool": {
        version: "1.2.3",
        dev: true,
        optionalDependencies: { "tool-linux-x64": "1.2.3", "tool-darwin-arm64": "1.2.3" }
      },
      "node_modules/tool-linux-x64": { version: "1.2.3", dev: true, optional: true, os: ["linux"], cpu: ["x64"] }
    }
  }

  it("completes what the registry did not have, and then has nothing to say", () => {
    assert.deepStrictEqual(Lockfile.problems(lock), [
      "tool-darwin-arm64@1.2.3 is an optional dependency without an entry: run `npm run lockfile`"
    ])
    const completed = Lockfile.complete(lock)
    assert.deepStrictEqual(completed.packages["node_modules/tool-darwin-arm64"], {
      version: "1.2.3",
      dev: true,
      optional: true,
      os: ["darwin"],
      cpu: ["arm64"]
    })
    assert.deepStrictEqual(completed.packages["node_modules/tool-linux-x64"], lock.packages["node_modules/tool-linux-x64"])
    assert.deepStrictEqual(Lockfile.problems(completed), [])
    assert.deepStrictEqual(Lockfile.complete(completed), completed)
  })

  it("adds nothing that it would have to guess", () => {
    const range: Lockfile.Lockfile = {
      packages: { "node_modules/a": { optionalDependencies: { "a-linux-x64": "^1.0.0", fsevents: "2.3.3" } } }
    }
    assert.deepStrictEqual(Lockfile.complete(range), range)
  })

  it("reports an entry that names a host, but not a link to a workspace", () => {
    const named: Lockfile.Lockfile = {
      packages: {
        "node_modules/a": { version: "1.0.0", resolved: "https://registry.example/a.tgz" },
        "node_modules/b": { resolved: "packages/b", link: true }
      }
    }
    assert.deepStrictEqual(Lockfile.problems(named), ["node_modules/a names where it was downloaded from: https://registry.example/a.tgz"])
  })
})
