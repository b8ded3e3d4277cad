/** Our client against servers that misbehave on HTTP/2, one server a case: what the call must come to, and what the server must have seen. */
import { Grpc } from "@effect-kratos/core/error/Status"
import type { Channels } from "@effect-kratos/transport/Channels"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as childProcess from "node:child_process"
import { fileURLToPath } from "node:url"
import { check, hasCode } from "../Check.ts"
import * as Program from "../Program.ts"
import * as assert from "node:assert/strict"
import { TestService } from "../gen/grpc/testing/test_effect.ts"
import { large } from "./Calls.ts"

// Debian's python, whose packages these are, not another that may come first on PATH
const python = "/usr/bin/python3"
const program = fileURLToPath(new URL("../../peers/http2/server.py", import.meta.url))

export const missing = (): string | undefined =>
  childProcess.spawnSync(python, ["-c", "import h2"]).status === 0 ? undefined : "python3-h2 not found; interop/install.sh gets it"

type Calls = Effect.Effect<void, unknown, TestService>

const fails = (code: (typeof Grpc)[keyof typeof Grpc]): Calls => Effect.flatMap(Effect.flip(large), (error) => hasCode(error, code))

const calls: Readonly<Record<string, Calls>> = {
  // the announcement follows the first reply and has time to come
  goaway: Effect.andThen(large, Effect.andThen(Effect.sleep("500 millis"), large)),
  // NO_ERROR is no status; gRPC's mapping of HTTP/2 errors says INTERNAL
  rst_after_header: fails(Grpc.INTERNAL),
  rst_during_data: fails(Grpc.INTERNAL),
  rst_after_data: fails(Grpc.INTERNAL),
  ping: large,
  // the first tells the client of the limit
  max_streams: Effect.andThen(
    large,
    Effect.forEach(Array.from({ length: 15 }), () => large, { concurrency: "unbounded", discard: true })
  ),
  goaway_unprocessed: large,
  refused: large,
  no_trailers: fails(Grpc.INTERNAL),
  vanish: fails(Grpc.UNAVAILABLE),
  tiny_window: large
}

const run = Effect.fnUntraced(function* (name: string, run: Calls) {
  const server = yield* Program.start([python, program, name])
  yield* Effect.provide(run, Layer.fresh(TestService.client(`127.0.0.1:${server.port}`)))
  const { code, stderr } = yield* server.end
  yield* check(() => assert.equal(code, 0, stderr.trim()))
})

export const cases: ReadonlyArray<readonly [name: string, run: Effect.Effect<void, unknown, Channels | Scope.Scope>]> = Object.entries(
  calls
).map(([name, calls]) => [name, run(name, calls)])
