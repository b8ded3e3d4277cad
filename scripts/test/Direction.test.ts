import { assert, describe, it } from "@effect/vitest"
import * as Direction from "../src/Direction.ts"
import * as Imports from "../src/Imports.ts"

const folders = [
  "aegis",
  "cli",
  "console",
  "contrib/consul",
  "contrib/etcd",
  "core",
  "gateway",
  "http2",
  "layout",
  "protoc-gen",
  "testing",
  "transport"
]
const workspaces = new Map(folders.map((folder) => [`@effect-kratos/${folder.replace("contrib/", "")}`, `packages/${folder}`]))
const everything = [...workspaces.keys(), "effect", "@effect/platform-node", "@bufbuild/protobuf", "undici"]

const check = (path: string, source: string, declared: ReadonlyArray<string> = everything) =>
  Direction.check({ path, imports: Imports.parse(path, source), declared: new Set(declared) }, workspaces).map(({ message }) => message)

describe("Direction.check", () => {
  it.each([
    ["packages/core/src/App.ts", `import * as A from "./aspect/Timeout.ts"`],
    ["packages/core/src/App.ts", `import * as A from "./registry/Registrar.ts"`],
    ["packages/core/src/aspect/Timeout.ts", `import * as A from "../Lifecycle.ts"`],
    ["packages/core/src/registry/Memory.ts", `import * as A from "../Lifecycle.ts"`],
    ["packages/core/src/Call.ts", `import type { Deadline } from "./Deadline.ts"`],
    ["packages/core/src/App.ts", `import * as A from "./internal/process.ts"`],
    ["packages/core/src/Call.ts", `import * as Effect from "effect/Effect"`],
    ["packages/core/src/Call.ts", `import type { Effect } from "effect"`],
    ["packages/core/src/aspect/RateLimit.ts", `import * as Bbr from "@effect-kratos/aegis/BbrLimiter"`],
    ["packages/transport/src/Server.ts", `import * as A from "@effect-kratos/core/App"`],
    ["packages/transport/src/Server.ts", `import * as A from "@effect-kratos/http2/Stream"`],
    ["packages/transport/src/Server.ts", `import * as Http from "node:http"`],
    ["packages/transport/src/gen/a_pb.ts", `import * as A from "@effect-kratos/transport/gen/b_pb"`],
    ["packages/http2/src/Stream.ts", `import type { Duplex } from "node:stream"`],
    ["packages/contrib/etcd/src/Etcd.ts", `import * as A from "@effect-kratos/core/registry/Registrar"`],
    ["packages/contrib/etcd/src/Etcd.ts", `import * as A from "@effect-kratos/transport/Channel"`],
    ["packages/gateway/src/main.ts", `import * as A from "@effect-kratos/transport/Server"`],
    ["packages/cli/src/main.ts", `import * as Fs from "node:fs"`],
    ["packages/core/test/Call.test.ts", `import * as Fs from "node:fs"`],
    ["examples/helloworld/src/main.ts", `import { Effect } from "effect"`]
  ])("%s may: %s", (path, source) => {
    assert.deepStrictEqual(check(path, source), [])
  })

  it.each([
    // between packages
    ["packages/core/src/Call.ts", `import * as A from "@effect-kratos/transport/Server"`, "core may not import @effect-kratos/transport"],
    ["packages/core/src/Call.ts", `type A = import("@effect-kratos/transport/Server").A`, "core may not import @effect-kratos/transport"],
    ["packages/core/src/Call.ts", `const a = () => import("@effect-kratos/http2/Stream")`, "core may not import @effect-kratos/http2"],
    ["packages/aegis/src/TopK.ts", `import * as A from "@effect-kratos/core/Call"`, "aegis may not import @effect-kratos/core"],
    ["packages/http2/src/Stream.ts", `import * as A from "@effect-kratos/core/Call"`, "http2 may not import @effect-kratos/core"],
    ["packages/gateway/src/main.ts", `import * as A from "@effect-kratos/http2/Stream"`, "gateway may not import @effect-kratos/http2"],
    ["packages/testing/src/Fleet.ts", `import * as A from "@effect-kratos/http2/Stream"`, "testing may not import @effect-kratos/http2"],
    [
      "packages/contrib/etcd/src/Etcd.ts",
      `import * as A from "@effect-kratos/http2/Stream"`,
      "contrib may not import @effect-kratos/http2"
    ],
    [
      "packages/contrib/etcd/src/Etcd.ts",
      `import * as A from "@effect-kratos/consul/Consul"`,
      "contrib never imports contrib: @effect-kratos/consul/Consul"
    ],
    ["packages/transport/src/Server.ts", `export * from "@effect-kratos/gateway/Route"`, "transport may not import @effect-kratos/gateway"],
    ["packages/cli/src/main.ts", `import * as A from "@effect-kratos/core/Call"`, "cli may not import @effect-kratos/core"],
    [
      "packages/protoc-gen/src/main.ts",
      `import type { A } from "@effect-kratos/core/Call"`,
      "protoc-gen may not import @effect-kratos/core"
    ],
    [
      "packages/layout/src/main.ts",
      `import * as A from "@effect-kratos/transport/Server"`,
      "layout may not import @effect-kratos/transport"
    ],
    [
      "packages/transport/src/Server.ts",
      `import * as A from "@effect-kratos/core/internal/process"`,
      "@effect-kratos/core/internal/process is internal to its package"
    ],
    [
      "packages/transport/src/Server.ts",
      `import * as A from "../../core/src/Call.ts"`,
      "../../core/src/Call.ts leaves the package: import it by its name"
    ],
    [
      "packages/novel/src/main.ts",
      ``,
      "package novel has no place in the direction of dependencies: give it one in scripts/src/Direction.ts"
    ],
    // inside core
    ["packages/core/src/error/Status.ts", `import * as A from "../Call.ts"`, "core/error comes before core/Call and may not import it"],
    [
      "packages/core/src/Metadata.ts",
      `import type { A } from "./Deadline.ts"`,
      "core/Metadata comes before core/Deadline and may not import it"
    ],
    ["packages/core/src/Call.ts", `import * as A from "./Aspect.ts"`, "core/Call comes before core/Aspect and may not import it"],
    [
      "packages/core/src/Aspect.ts",
      `import * as A from "./config/ConfigStore.ts"`,
      "core/Aspect comes before core/config and may not import it"
    ],
    [
      "packages/core/src/registry/Dns.ts",
      `import * as A from "../selector/Node.ts"`,
      "core/registry comes before core/selector and may not import it"
    ],
    [
      "packages/core/src/selector/Ewma.ts",
      `import * as A from "../aspect/Retry.ts"`,
      "core/selector comes before core/aspect and may not import it"
    ],
    ["packages/core/src/aspect/Retry.ts", `import * as A from "../App.ts"`, "core/aspect comes before core/App and may not import it"],
    [
      "packages/core/src/Lifecycle.ts",
      `import * as A from "./registry/Registrar.ts"`,
      "core/Lifecycle comes before core/registry and may not import it"
    ],
    [
      "packages/core/src/novel/A.ts",
      ``,
      "core/novel/A has no place in the order of core's folders: give it one in scripts/src/Direction.ts"
    ],
    // barrels
    ["packages/core/src/Call.ts", `import * as A from "./index.ts"`, "./index.ts is the package's own barrel: import the module itself"],
    [
      "packages/transport/src/grpc/Server.ts",
      `import * as A from "../index.ts"`,
      "../index.ts is the package's own barrel: import the module itself"
    ],
    ["packages/transport/src/grpc/Server.ts", `import * as A from ".."`, ".. is the package's own barrel: import the module itself"],
    [
      "packages/transport/src/gen/a_pb.ts",
      `import * as A from "@effect-kratos/transport"`,
      "@effect-kratos/transport is the package's own barrel: import the module itself"
    ],
    [
      "packages/transport/src/Server.ts",
      `import * as A from "@effect-kratos/transport/Channel"`,
      "@effect-kratos/transport/Channel is in this package: import it by a relative path"
    ],
    ["packages/transport/src/Server.ts", `import { Effect } from "effect"`, "effect is a barrel and slows start-up: import a sub-path"],
    // Node and vendors
    ["packages/core/src/App.ts", `import type * as Fs from "node:fs"`, "core runs anywhere and imports no Node module: node:fs"],
    ["packages/aegis/src/TopK.ts", `import * as Os from "os"`, "aegis runs anywhere and imports no Node module: os"],
    ["packages/http2/src/Stream.ts", `import { Duplex } from "node:stream"`, "http2 may import only types of Node modules: node:stream"],
    ["packages/transport/src/Server.ts", `import * as Http2 from "node:http2"`, "node:http2 is not used: the engine is packages/http2"],
    ["packages/http2/src/Stream.ts", `import type * as Http2 from "http2"`, "node:http2 is not used: the engine is packages/http2"],
    ["packages/core/src/Call.ts", `import * as A from "@bufbuild/protobuf"`, "core may not import @bufbuild/protobuf"],
    ["packages/http2/src/Stream.ts", `import * as Effect from "effect/Effect"`, "http2 may not import effect"]
  ])("%s may not: %s", (path, source, message) => {
    assert.deepStrictEqual(check(path, source), [message])
  })

  it("wants every package that is imported to be declared", () => {
    const source = `import * as A from "undici"`
    assert.deepStrictEqual(check("packages/transport/src/Server.ts", source, ["undici"]), [])
    assert.deepStrictEqual(check("packages/transport/src/Server.ts", source, ["effect"]), [
      "undici is not a dependency in packages/transport/package.json"
    ])
  })

  it("reports each violation at its line", () => {
    const path = "packages/core/src/Call.ts"
    const imports = Imports.parse(
      path,
      `import * as A from "node:fs"\nimport * as Effect from "effect/Effect"\nimport * as B from "./App.ts"`
    )
    const lines = Direction.check({ path, imports, declared: new Set(everything) }, workspaces).map(({ line }) => line)
    assert.deepStrictEqual(lines, [1, 3])
  })
})
