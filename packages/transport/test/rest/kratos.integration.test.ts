/**
 * Streams of REST against Kratos v3 itself: its HTTP client calls our server, ours calls its server. The peer is a Go program under
 * `interop/peers/kratos`, built once into the cache folder.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { spawn, spawnSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { createServer } from "node:net"
import { homedir } from "node:os"
import { join } from "node:path"
import * as Channels from "../../src/Channels.ts"
import { Rest } from "../gen/test/v1/rest_effect.ts"
import { serveRest } from "./RestHarness.ts"

const peer = (): string | undefined => {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "effect-kratos", "interop", "kratos")
  mkdirSync(cache, { recursive: true })
  const program = join(cache, "peer")
  const built = spawnSync("go", ["build", "-o", program, "."], {
    cwd: join(import.meta.dirname, "../../../../interop/peers/kratos"),
    env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/local/go/bin` },
    timeout: 300_000
  })
  return built.status === 0 ? program : undefined
}

const program = peer()
if (program === undefined) process.stderr.write("SKIPPED: REST against Kratos v3 (needs Go and its module proxy)\n")

const failure = KratosError.conflict("BUSY", "no more", { metadata: { k: "v" } })

describe.skipIf(program === undefined)("Kratos v3", () => {
  it.live("its client calls our server", () =>
    Effect.gen(function* () {
      const server = yield* serveRest(
        {
          watchWide: ({ id, note }: { readonly id: string; readonly note: string }) =>
            id === "early"
              ? Stream.fail(failure)
              : Stream.concat(
                  Stream.make({ id, note: `${note}0` }, { id, note: `${note}1` }),
                  id === "late" ? Stream.fail(failure) : Stream.empty
                ),
          chat: (requests: Stream.Stream<{ readonly note: string }>) =>
            Stream.mapEffect(requests, (message) => (message.note === "fail" ? Effect.fail(failure) : Effect.succeed(message))),
          collectIds: (requests: Stream.Stream<{ readonly id: string }>) =>
            Effect.map(Stream.runCollect(requests), (all) => ({ id: all.map(({ id }) => id).join(",") }))
        },
        {},
        Layer.empty
      )
      const output = yield* Effect.callback<string>((resume) => {
        const child = spawn(program!, ["client", `127.0.0.1:${server.address.port}`], { stdio: ["ignore", "pipe", "inherit"] })
        let text = ""
        child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()))
        child.once("close", () => resume(Effect.succeed(text)))
        return Effect.sync(() => child.kill())
      })
      const seen = new Map(
        output
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as { readonly call: string; readonly messages: ReadonlyArray<unknown>; readonly error: unknown })
          .map(({ call, ...rest }) => [call, rest])
      )
      const error = { code: 409, reason: "BUSY", message: "no more", metadata: { k: "v" } }
      assert.deepStrictEqual(seen.get("watch 1"), {
        messages: [
          { id: "1", note: "n0" },
          { id: "1", note: "n1" }
        ],
        error: null
      })
      assert.deepStrictEqual(seen.get("watch early"), { messages: [], error })
      assert.deepStrictEqual(seen.get("watch late"), {
        messages: [
          { id: "late", note: "n0" },
          { id: "late", note: "n1" }
        ],
        error
      })
      assert.deepStrictEqual(seen.get("chat b"), {
        messages: [
          { id: "room", note: "a" },
          { id: "room", note: "b" }
        ],
        error: null
      })
      // Kratos keeps no structure of an error on a WebSocket: its client has our text
      assert.deepStrictEqual(seen.get("chat fail")?.messages, [{ id: "room", note: "a" }])
      assert.deepStrictEqual(JSON.parse(String(seen.get("chat fail")?.error)), error)
      assert.deepStrictEqual(seen.get("collect"), { messages: [{ id: "a,b", note: "" }], error: null })
    })
  )

  it.live("our client calls its server", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof spawn>>((resume) => {
          const child = spawn(program!, ["server", `127.0.0.1:${port}`], { stdio: ["ignore", "pipe", "inherit"] })
          child.stdout.once("data", () => resume(Effect.succeed(child)))
        }),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const context = yield* Layer.build(
        Layer.fresh(Rest.client(`127.0.0.1:${port}`, { protocol: "rest" })).pipe(Layer.provide(Layer.fresh(Channels.layerDirect)))
      )
      const rest = Context.get(context, Rest)
      const watched = yield* Effect.eventually(Stream.runCollect(rest.watchWide({ id: "a b", note: "n" })))
      assert.deepStrictEqual(
        watched.map(({ id, note }) => [id, note]),
        [0, 1, 2].map((i) => ["a b", `n${i}`])
      )
      const early = yield* Effect.flip(Stream.runDrain(rest.watchWide({ id: "early" })))
      assert.deepStrictEqual([KratosError.code(early), KratosError.reason(early), early.message], [404, "NO_ID", "no such id"])
      const late = yield* Effect.flip(Stream.runDrain(rest.watchWide({ id: "late" })))
      assert.deepStrictEqual([KratosError.code(late), KratosError.reason(late), late.metadata], [409, "BUSY", { k: "v" }])
      const chat = yield* Stream.runCollect(rest.chat(Stream.make({ id: "r", note: "a" }, { id: "r", note: "b" })))
      assert.deepStrictEqual(
        chat.map(({ id, note }) => [id, note]),
        [
          ["r", "a"],
          ["r", "b"]
        ]
      )
      const failed = yield* Effect.flip(Stream.runDrain(rest.chat(Stream.make({ id: "r", note: "fail" }))))
      assert.deepStrictEqual(
        [KratosError.code(failed), KratosError.reason(failed), failed.message, failed.metadata],
        [409, "BUSY", "no more", { k: "v" }]
      )
      assert.strictEqual((yield* rest.collectIds(Stream.make({ id: "a" }, { id: "b" }, { id: "c" }))).id, "3")
    })
  )
})

const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { readonly port: number }
    server.close(() => resume(Effect.succeed(port)))
  })
})
