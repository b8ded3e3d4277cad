/** REST streams in Chromium: `EventSource` and `WebSocket` of a page of the server's own. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { existsSync } from "node:fs"
import { chromium } from "playwright-core"
import { until } from "../Harness.ts"
import { serveRest } from "./RestHarness.ts"

const executablePath = "/usr/bin/chromium"
const found = existsSync(executablePath)
if (!found) process.stderr.write("SKIPPED: REST streams in a browser (needs /usr/bin/chromium)\n")

const open = (port: number) =>
  Effect.gen(function* () {
    const browser = yield* Effect.acquireRelease(
      Effect.promise(() =>
        chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"] })
      ),
      (browser) => Effect.promise(() => browser.close())
    )
    const page = yield* Effect.promise(() => browser.newPage())
    yield* Effect.promise(() => page.goto(`http://127.0.0.1:${port}/livez`))
    return page
  })

describe.skipIf(!found)("Chromium", () => {
  it.live("EventSource and WebSocket", () =>
    Effect.gen(function* () {
      let watching = 0
      const failure = KratosError.conflict("BUSY", "no more")
      const server = yield* serveRest(
        {
          watchWide: ({ id }: { readonly id: string }) =>
            Stream.concat(Stream.make({ id, note: "ü\n1" }, { id, note: "2" }), id === "fail" ? Stream.fail(failure) : Stream.never).pipe(
              Stream.onStart(Effect.sync(() => watching++)),
              Stream.ensuring(Effect.sync(() => watching--))
            ),
          chat: (requests: Stream.Stream<{ readonly note: string }>) =>
            Stream.mapEffect(requests, (message) => (message.note === "fail" ? Effect.fail(failure) : Effect.succeed(message)))
        },
        {},
        Layer.empty
      )
      const page = yield* open(server.address.port)
      // what runs in the page is text: its types are not those of Node
      const run = (script: string) => Effect.promise(() => page.evaluate(script) as Promise<unknown>)

      const events = yield* run(`new Promise((resolve) => {
        const source = new EventSource("/v1/wide/1:watch")
        const seen = []
        source.onmessage = ({ data }) => { seen.push(JSON.parse(data).note); if (seen.length === 2) { source.close(); resolve(seen) } }
      })`)
      assert.deepStrictEqual(events, ["ü\n1", "2"])
      yield* until(Effect.sync(() => watching === 0))

      const error = yield* run(`new Promise((resolve) => {
        const source = new EventSource("/v1/wide/fail:watch")
        source.addEventListener("error", ({ data }) => { source.close(); resolve(JSON.parse(data)) })
      })`)
      assert.deepStrictEqual(error, { code: 409, reason: "BUSY", message: "no more", metadata: {} })

      const chat = (last: string) =>
        run(`new Promise((resolve) => {
          const socket = new WebSocket("ws://" + location.host + "/v1/chat/room")
          const seen = []
          socket.onopen = () => { for (const note of ["a", "b"]) socket.send(JSON.stringify({ note })); socket.send(${JSON.stringify(last)}) }
          socket.onmessage = ({ data }) => seen.push(data)
          socket.onclose = ({ code, reason, wasClean }) => resolve({ seen, code, reason, wasClean })
        })`)
      const messages = ['{"id":"room","note":"a"}', '{"id":"room","note":"b"}']
      assert.deepStrictEqual(yield* chat("\u001eend"), { seen: messages, code: 1000, reason: "", wasClean: true })
      assert.deepStrictEqual(yield* chat('{"note":"fail"}'), {
        seen: [...messages, '\u001eerror:{"code":409,"reason":"BUSY","message":"no more","metadata":{}}'],
        code: 1011,
        reason: "BUSY: no more",
        wasClean: true
      })

      // a page of another origin
      yield* Effect.promise(() => page.goto("data:text/html,x"))
      const stranger = yield* run(`new Promise((resolve) => {
        const socket = new WebSocket("ws://127.0.0.1:${server.address.port}/v1/chat/room")
        socket.onopen = () => resolve("opened")
        socket.onerror = () => resolve("refused")
      })`)
      assert.strictEqual(stranger, "refused")
    })
  )
})
