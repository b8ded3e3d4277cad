/** Commands that people point at a server: curl, buf curl, h2load. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as Peers from "../src/Peers.ts"
import * as Program from "../src/Program.ts"

class Address extends Context.Service<Address, string>()("@effect-kratos/interop/test/Address") {
  static readonly layer = Layer.effect(
    Address,
    Effect.map(Program.serve(Peers.find("ours").server), (port) => `127.0.0.1:${port}`)
  )
}

type Methods = Parameters<Parameters<ReturnType<typeof layer<Address, Program.ProgramError>>>[1] & {}>[0]

/** A suite that needs a program; without it the suite is reported as skipped, by name. */
const suite = (title: string, program: string, tests: (it: Methods, program: string) => void) => {
  const found = Program.which(program)
  if (found === undefined) {
    describe(title, () => {
      it.skip(`skipped: no ${program} on PATH; run interop/install.sh`, () => {})
    })
    return
  }
  layer(Address.layer, { timeout: "60 seconds", excludeTestServices: true })(title, (it) => tests(it, found))
}

interface Answer {
  readonly version: string
  readonly status: number
  readonly type: string
  readonly body: unknown
}

/** Runs curl on the server and reads status, protocol and JSON body. */
const curl = (program: string, protocol: string, target: string, more: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const url = `http://${yield* Address}${target}`
    const format = "\\n%{http_version} %{http_code} %{content_type}"
    const output = yield* Program.run([program, "-sS", "-m", "10", protocol, "-w", format, ...more, url])
    assert.strictEqual(output.code, 0, output.stderr)
    const end = output.stdout.lastIndexOf("\n")
    const [version = "", status = "", type = ""] = output.stdout.slice(end + 1).split(" ")
    const answer: Answer = { version, status: Number(status), type, body: JSON.parse(output.stdout.slice(0, end)) }
    return answer
  })

suite("curl", "curl", (it, program) => {
  for (const [name, protocol, version] of [
    ["HTTP/1.1", "--http1.1", "1.1"],
    ["HTTP/2 with prior knowledge", "--http2-prior-knowledge", "2"]
  ] as const) {
    const ask = (target: string, more?: ReadonlyArray<string>) => curl(program, protocol, target, more)
    const post = (body: string) => ask("/test/v1/echo", ["-H", "content-type: application/json", "-d", body])

    it.effect(`${name}: a path variable is bound`, () =>
      Effect.gen(function* () {
        const answer = yield* ask("/helloworld/b%C3%B6se%2Fx")
        assert.deepStrictEqual(answer, { version, status: 200, type: "application/json", body: { message: "Hello böse/x" } })
      })
    )

    it.effect(`${name}: a typed error is the body of Kratos`, () =>
      Effect.gen(function* () {
        const { body, status } = yield* ask("/helloworld/nobody")
        assert.strictEqual(status, 404)
        assert.deepStrictEqual(body, {
          code: 404,
          reason: "USER_NOT_FOUND",
          message: "user nobody was not found",
          metadata: { name: "nobody" }
        })
      })
    )

    it.effect(`${name}: a body goes in and comes back, 1 MiB too`, () =>
      Effect.gen(function* () {
        const small = yield* post(`{"text":"hi","payload":"AQI="}`)
        assert.strictEqual(small.status, 200)
        assert.deepInclude(small.body, { text: "hi", payload: "AQI=" })
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "effect-kratos-interop-"))
        const text = "x".repeat(1 << 20)
        fs.writeFileSync(path.join(folder, "body.json"), JSON.stringify({ text }))
        const large = yield* post(`@${path.join(folder, "body.json")}`).pipe(
          Effect.ensuring(Effect.sync(() => fs.rmSync(folder, { recursive: true })))
        )
        assert.strictEqual(large.status, 200)
        assert.deepInclude(large.body, { text })
      })
    )

    it.effect(`${name}: what is wrong is answered with its status`, () =>
      Effect.gen(function* () {
        const wrong = [
          [yield* post(`{"text":`), 400],
          [yield* post(`{"text":"t","failReason":"TEAPOT"}`), 418],
          [yield* ask("/none"), 404],
          [yield* ask("/helloworld/kratos", ["-X", "DELETE"]), 405]
        ] as const
        for (const [{ body, status }, expected] of wrong) {
          assert.strictEqual(status, expected)
          assert.deepInclude(body, { code: expected })
        }
      })
    )
  }

  // over HTTP/2 the curl of Debian 12 fails to reuse a connection, with any server
  it.effect("HTTP/1.1: two requests on one connection", () =>
    Effect.gen(function* () {
      const url = `http://${yield* Address}/helloworld/`
      const output = yield* Program.run([program, "-sS", "-m", "10", "--http1.1", "-w", " %{num_connects}\\n", `${url}a`, `${url}b`])
      assert.strictEqual(output.stdout, `{"message":"Hello a"} 1\n{"message":"Hello b"} 0\n`)
    })
  )

  it.effect("an offer to upgrade to h2c is answered, in either protocol", () =>
    Effect.gen(function* () {
      const { body, status } = yield* curl(program, "--http2", "/helloworld/kratos")
      assert.deepStrictEqual({ body, status }, { body: { message: "Hello kratos" }, status: 200 })
    })
  )
})

const repository = fileURLToPath(new URL("../../", import.meta.url))
const schemas = ["packages/transport/test/proto", "packages/protoc-gen/proto"].flatMap((folder) => [
  "--schema",
  path.join(repository, folder)
])

suite("buf curl", "buf", (it, program) => {
  const call = (method: string, data: string) =>
    Effect.flatMap(Address, (address) =>
      Program.run([
        program,
        "curl",
        ...schemas,
        "--protocol",
        "grpc",
        "--http2-prior-knowledge",
        "-d",
        data,
        `http://${address}/test.v1.Echo/${method}`
      ])
    )
  // replies are printed one after the other, each over several lines
  const replies = (stdout: string): unknown => JSON.parse(`[${stdout.replaceAll(/^\}$/gm, "},").trim().replace(/,$/, "")}]`)

  const rows: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
    ["Unary", [{ text: "x" }]],
    ["ServerStream", [{ text: "x" }, { text: "x", index: 1 }]],
    ["ClientStream", [{ text: "x,y", index: 2 }]],
    ["Bidi", [{ text: "x" }, { text: "x", index: 1 }, { text: "y", index: 2 }]]
  ]
  for (const [method, expected] of rows) {
    it.effect(`gRPC, ${method}`, () =>
      Effect.gen(function* () {
        const data = `{"text":"x","count":2}${method === "ClientStream" || method === "Bidi" ? ` {"text":"y"}` : ""}`
        const { code, stderr, stdout } = yield* call(method, data)
        assert.deepStrictEqual({ code, stderr, replies: replies(stdout) }, { code: 0, stderr: "", replies: expected })
      })
    )
  }

  it.effect("gRPC, an error with its details", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* call("Unary", `{"text":"x","failReason":"THING_NOT_FOUND"}`)
      assert.strictEqual(code, 8 * 5)
      const error: unknown = JSON.parse(stderr)
      assert.deepInclude(error, { code: "not_found", message: "THING_NOT_FOUND: x" })
      assert.include(stderr, "google.rpc.ErrorInfo")
    })
  )
})

suite("h2load", "h2load", (it, program) => {
  const load = (more: ReadonlyArray<string>, target: string) =>
    Effect.gen(function* () {
      const address = yield* Address
      const { stdout } = yield* Program.run([program, "-n", "2000", "-c", "4", ...more, `http://${address}${target}`])
      assert.match(stdout, /^requests: 2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout$/m)
      assert.match(stdout, /^status codes: 2000 2xx/m)
    })

  it.effect("gRPC on four connections, ten calls in flight each", () =>
    Effect.gen(function* () {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "effect-kratos-interop-"))
      const frame = path.join(folder, "frame.bin")
      fs.writeFileSync(frame, Buffer.from([0, 0, 0, 0, 4, 0x0a, 2, 0x68, 0x69])) // EchoRequest { text: "hi" }
      yield* load(["-m", "10", "-d", frame, "-H", "content-type: application/grpc", "-H", "te: trailers"], "/test.v1.Echo/Unary").pipe(
        Effect.ensuring(Effect.sync(() => fs.rmSync(folder, { recursive: true })))
      )
    })
  )

  it.effect("REST over HTTP/2", () => load(["-m", "10"], "/helloworld/kratos"))

  it.effect("REST over HTTP/1.1", () => load(["--h1"], "/helloworld/kratos"))
})
