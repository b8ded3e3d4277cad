/** Pages in Chromium, of another origin than the services: our own client and Connect's. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { existsSync } from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { chromium } from "playwright-core"
import { rolldown } from "rolldown"
import * as Server from "../../src/Server.ts"
import { EchoLive, Journal } from "../EchoLive.ts"
import { Catalog } from "../gen/test/v1/catalog_effect.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"

const CatalogLive = Catalog.layer({
  *find({ title }) {
    if (title === "") return yield* KratosError.notFound("NO_TITLE", "no title")
    return { title }
  },
  list: ({ title }) => Stream.succeed({ title }),
  *keep({ title }) {
    return { title }
  }
})

const browser = [process.env["CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  (path) => path !== undefined && existsSync(path)
)

const bundle = (file: string) =>
  Effect.promise(async () => {
    const build = await rolldown({ input: fileURLToPath(new URL(file, import.meta.url)), platform: "browser" })
    const { output } = await build.generate({ format: "iife", name: "page", codeSplitting: false })
    await build.close()
    return output[0].code
  })

/** An origin with a page that has loaded `code`. */
const page = (code: string) =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.callback<http.Server>((resume) => {
        const made = http.createServer((_, response) => {
          response.setHeader("content-type", "text/html; charset=utf-8")
          response.end(`<!doctype html><script>${code.replaceAll("</script", "<\\/script")}</script>`)
        })
        made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
      }),
      (made) =>
        Effect.sync(() => {
          made.closeAllConnections()
          made.close()
        })
    )
    const running = yield* Effect.acquireRelease(
      Effect.promise(() => chromium.launch({ executablePath: browser!, args: ["--no-sandbox", "--disable-gpu", "--disable-quic"] })),
      (running) => Effect.promise(() => running.close())
    )
    return yield* Effect.promise(async () => {
      const opened = await running.newPage()
      const { port } = server.address() as AddressInfo // it listens on a port
      await opened.goto(`http://127.0.0.1:${port}/`)
      return opened
    })
  })

const serve = Effect.gen(function* () {
  const context = yield* Layer.build(
    Server.layer({ services: [Echo, Catalog], host: "127.0.0.1", port: 0, cors: { origins: "*" } }).pipe(
      Layer.provide([EchoLive, CatalogLive]),
      Layer.provideMerge(Journal.layer)
    )
  )
  const { port } = Context.get(context, Server.Server).address
  return { baseUrl: `http://127.0.0.1:${port}`, journal: Context.get(context, Journal) }
})

interface Page {
  readonly run: (...args: ReadonlyArray<unknown>) => Promise<object>
}

const run = (opened: Effect.Success<ReturnType<typeof page>>, ...args: ReadonlyArray<unknown>) =>
  // the bundle leaves its exports in a global
  Effect.promise(() => opened.evaluate((args) => (globalThis as unknown as { readonly page: Page }).page.run(...args), args))

/**
 * What reached a handler is over: three calls have ended by themselves, and those that were given up were interrupted. There are two of them, of which the
 * browser may give one up before it is sent.
 */
const settled = (journal: Journal["Service"]) =>
  Effect.gen(function* () {
    yield* Effect.yieldNow.pipe(
      Effect.andThen(Effect.all([Ref.get(journal.open), Ref.get(journal.done)])),
      Effect.repeat({ until: ([open, done]) => open === 0 && done > 3 })
    )
    assert.strictEqual((yield* Ref.get(journal.done)) - (yield* Ref.get(journal.interrupted)), 3)
  })

describe.skipIf(browser === undefined)("Chromium (needs chromium)", () => {
  it.live("our client: typed errors, streams, deadlines, interrupts, GET", () =>
    Effect.gen(function* () {
      const { baseUrl, journal } = yield* serve
      const opened = yield* page(yield* bundle("page.ts"))
      assert.deepStrictEqual(yield* run(opened, baseUrl), {
        text: "ä",
        texts: ["s", "s", "s"],
        error: "ThingNotFound t",
        late: "DEADLINE_EXCEEDED",
        given: "None",
        upload: 501
      })
      yield* settled(journal)
    })
  )

  for (const protocol of ["connect", "grpc-web"]) {
    for (const binary of [true, false]) {
      it.live(`connect-web: ${protocol}, ${binary ? "proto" : "json"}`, () =>
        Effect.gen(function* () {
          const { baseUrl, journal } = yield* serve
          const opened = yield* page(yield* bundle("peersPage.ts"))
          assert.deepStrictEqual(yield* run(opened, baseUrl, protocol, binary), {
            texts: ["s", "s", "s"],
            text: "u",
            metadata: { "x-md-global-one": "uno", "x-md-two-bin": "AAH/" },
            trailer: "AAH/",
            error: { code: 5, reason: "THING_NOT_FOUND" },
            late: { code: 4, reason: undefined },
            given: { code: 1, reason: undefined }
          })
          yield* settled(journal)
        })
      )
    }
  }
})
