/** `buf curl`, which is connect-go, in its three protocols. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { serve, sockets } from "../Harness.ts"

const buf = join(dirname(createRequire(import.meta.url).resolve("@bufbuild/buf/package.json")), "bin", "buf")
const schema = fileURLToPath(new URL("../../../..", import.meta.url))

interface Output {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const curl = (...args: ReadonlyArray<string>): Effect.Effect<Output> =>
  Effect.callback((resume) => {
    const child = execFile(process.execPath, [buf, "curl", "--schema", schema, ...args], { timeout: 30_000 }, (_, stdout, stderr) =>
      resume(Effect.succeed({ code: child.exitCode ?? -1, stdout, stderr }))
    )
    return Effect.sync(() => void child.kill())
  })

/** Replies are printed one after the other, each over several lines. */
const replies = (stdout: string): ReadonlyArray<unknown> => JSON.parse(`[${stdout.trim().replaceAll(/\}\s*\{/g, "},{")}]`)

describe("buf curl", () => {
  for (const protocol of ["connect", "grpcweb", "grpc"]) {
    for (const version of ["HTTP/1.1", "HTTP/2"]) {
      if (protocol === "grpc" && version === "HTTP/1.1") continue
      const call = (port: number, method: string, data: string, ...more: ReadonlyArray<string>) =>
        curl(
          "--protocol",
          protocol,
          ...(version === "HTTP/2" ? ["--http2-prior-knowledge"] : []),
          ...more,
          "-d",
          data,
          `http://127.0.0.1:${port}/test.v1.Echo/${method}`
        )

      it.live(`${protocol} over ${version}: every kind that it can`, () =>
        Effect.gen(function* () {
          const { address } = yield* serve({ wire: sockets })
          const rows: ReadonlyArray<readonly [string, string, ReadonlyArray<unknown>]> = [
            ["Unary", `{"text":"x"}`, [{ text: "x" }]],
            ["ServerStream", `{"text":"x","count":2}`, [{ text: "x" }, { text: "x", index: 1 }]],
            ["ClientStream", `{"text":"x"} {"text":"y"}`, [{ text: "x,y", index: 2 }]],
            ["Bidi", `{"text":"x"} {"text":"y"}`, [{ text: "x" }, { text: "y" }]]
          ]
          for (const [method, data, expected] of rows) {
            if (method === "Bidi" && version === "HTTP/1.1") continue
            const { code, stderr, stdout } = yield* call(address.port, method, data)
            assert.deepStrictEqual({ code, stderr, replies: replies(stdout) }, { code: 0, stderr: "", replies: expected })
          }
        })
      )

      it.live(`${protocol} over ${version}: an error with its details`, () =>
        Effect.gen(function* () {
          const { address } = yield* serve({ wire: sockets })
          for (const method of ["Unary", "ServerStream"]) {
            const { code, stderr } = yield* call(address.port, method, `{"text":"x","failReason":"THING_NOT_FOUND"}`)
            // its exit code is eight times that of the error
            assert.strictEqual(code, 8 * 5)
            assert.match(stderr, /"code": "not_found"/)
            assert.match(stderr, /google\.rpc\.ErrorInfo/)
          }
        })
      )
    }
  }
})
