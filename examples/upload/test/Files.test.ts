import * as Server from "@effect-kratos/transport/Server"
import * as NodeHttpPlatform from "@effect/platform-node/NodeHttpPlatform"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Etag from "effect/http/Etag"
import * as Layer from "effect/Layer"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Files from "../src/Files.ts"

const withServer = <A, E>(use: (url: string, directory: string) => Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "upload-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true }))
    )
    const Live = Server.layer({ services: [], host: "127.0.0.1", port: 0, routes: Files.routes({ directory, maxFileBytes: 1000 }) }).pipe(
      Layer.provide([NodeHttpPlatform.layer, Etag.layer]),
      Layer.provide(NodeServices.layer)
    )
    return yield* Effect.flatMap(Server.Server, ({ address }) => use(`http://127.0.0.1:${address.port}`, directory)).pipe(
      Effect.provide(Live)
    )
  })

const form = (...files: ReadonlyArray<readonly [name: string, bytes: Uint8Array<ArrayBuffer>]>) => {
  const data = new FormData()
  for (const [name, bytes] of files) data.append("file", new Blob([bytes]), name)
  return data
}
const send = (url: string, body: FormData | string, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/upload`, { method: "POST", body, headers })
    return { status: response.status, body: (await response.json()) as unknown }
  })
const bytes = new Uint8Array([0, 255, 13, 10, 45, 45])

it.live("keeps what is sent and sends it back, byte for byte", () =>
  withServer((url) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* send(url, form(["a.bin", bytes], ["b.txt", new Uint8Array([65])])), {
        status: 201,
        body: { files: ["a.bin", "b.txt"] }
      })
      const response = yield* Effect.promise(() => fetch(`${url}/files/a.bin`))
      assert.strictEqual(response.headers.get("content-disposition"), 'attachment; filename="a.bin"')
      assert.deepStrictEqual(new Uint8Array(yield* Effect.promise(() => response.arrayBuffer())), bytes)
    })
  )
)

it.live("refuses names that are paths, files that are too large and bodies that are no forms, and keeps nothing of them", () =>
  withServer((url, directory) =>
    Effect.gen(function* () {
      const reason = (reply: { readonly status: number; readonly body: unknown }) => [
        reply.status,
        (reply.body as { readonly reason: string }).reason
      ]
      assert.deepStrictEqual(reason(yield* send(url, form(["..", bytes]))), [400, "FILE_NAME"])
      assert.deepStrictEqual(reason(yield* send(url, form([".hidden", bytes]))), [400, "FILE_NAME"])
      assert.deepStrictEqual(reason(yield* send(url, form(["big", new Uint8Array(1001)]))), [413, "FILE_TOO_LARGE"])
      assert.deepStrictEqual(reason(yield* send(url, "hello", { "content-type": "multipart/form-data; boundary=x" })), [400, "FORM"])
      assert.deepStrictEqual(reason(yield* send(url, new FormData())), [400, "FORM"])
      assert.deepStrictEqual(readdirSync(directory), [])
      const missing = yield* Effect.promise(() => fetch(`${url}/files/none`))
      assert.strictEqual(missing.status, 404)
      const outside = yield* Effect.promise(() => fetch(`${url}/files/..%2Fpackage.json`))
      assert.strictEqual(outside.status, 400)
    })
  )
)
