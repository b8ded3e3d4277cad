/** Tools that know nothing of the contract call the server: what they need they ask of it. */
import { execFile, execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Server from "../../src/Server.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import { EchoLive, Journal } from "../EchoLive.ts"

const Live = Server.layer({ services: [Echo], host: "127.0.0.1", port: 0 }).pipe(Layer.provide(EchoLive), Layer.provide(Journal.layer))

interface Output {
  readonly stdout: string
  readonly stderr: string
}

const run = (program: string, args: ReadonlyArray<string>): Effect.Effect<Output> =>
  Effect.callback((resume) => {
    execFile(program, [...args], { timeout: 30_000 }, (_, stdout, stderr) => resume(Effect.succeed({ stdout, stderr })))
  })

const url = Effect.map(Server.Server, ({ address }) => `127.0.0.1:${address.port}`)

const has = (program: string): boolean => {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

describe("buf curl without a schema", () => {
  const buf = fileURLToPath(new URL("../../../../node_modules/.bin/buf", import.meta.url))
  const curl = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"]

  it.live("calls, and reads the error's details", () =>
    Effect.gen(function* () {
      const address = yield* url
      const reply = yield* run(buf, [...curl, "-d", `{"text":"hi","payload":"AQI="}`, `http://${address}/test.v1.Echo/Unary`])
      assert.deepStrictEqual(JSON.parse(reply.stdout), { text: "hi", payload: "AQI=" }, reply.stderr)
      const failed = yield* run(buf, [...curl, "-d", `{"text":"hi","failReason":"TEAPOT"}`, `http://${address}/test.v1.Echo/Unary`])
      assert.include(failed.stderr, "failed as asked: TEAPOT")
    }).pipe(Effect.provide(Live))
  )

  it.live.each(["grpc-v1", "grpc-v1alpha"])("lists services and methods by %s", (protocol) =>
    Effect.gen(function* () {
      const address = yield* url
      const reflect = ["--reflect", "--reflect-protocol", protocol]
      const services = yield* run(buf, [...curl, ...reflect, "--list-services", `http://${address}`])
      assert.deepStrictEqual(services.stdout.trim().split("\n"), [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "test.v1.Echo"
      ])
      const methods = yield* run(buf, [...curl, ...reflect, "--list-methods", `http://${address}`])
      assert.include(methods.stdout, "test.v1.Echo/ServerStream")
    }).pipe(Effect.provide(Live))
  )
})

describe.skipIf(!has("grpcurl"))("grpcurl", () => {
  it.live("describes and calls", () =>
    Effect.gen(function* () {
      const address = yield* url
      const described = yield* run("grpcurl", ["-plaintext", address, "describe", "test.v1.EchoReply"])
      assert.include(described.stdout, "map<string, string> metadata = 4;")
      const reply = yield* run("grpcurl", ["-plaintext", "-d", `{"text":"hi"}`, address, "test.v1.Echo/Unary"])
      assert.deepStrictEqual(JSON.parse(reply.stdout), { text: "hi" }, reply.stderr)
    }).pipe(Effect.provide(Live))
  )
})
