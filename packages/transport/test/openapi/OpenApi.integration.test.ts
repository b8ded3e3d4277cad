/** Others read the document: a generator of another project makes a client of it, and a browser shows it. */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { chromium } from "playwright-core"
import * as Server from "../../src/Server.ts"
import { Library } from "../gen/test/docs/v1/library_effect.ts"
import { LibraryLive } from "./LibraryLive.ts"

const Live = Server.layer({ services: [Library], host: "127.0.0.1", port: 0 }).pipe(Layer.provide(LibraryLive))

const url = Effect.map(Server.Server, ({ address }) => `http://127.0.0.1:${address.port}`)

const root = fileURLToPath(new URL("../../../..", import.meta.url))

/** A folder inside the repository, so that generated code finds its runtime. */
const folder = Effect.acquireRelease(
  Effect.sync(() => {
    mkdirSync(join(root, ".cache"), { recursive: true })
    return mkdtempSync(join(root, ".cache", "openapi-"))
  }),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

interface Answer {
  readonly status: number
  readonly data: unknown
}

type Client = Readonly<Record<string, (...args: ReadonlyArray<unknown>) => Promise<Answer>>> & { readonly defaults: { baseUrl: string } }

describe("a client that oazapfts makes of the document", () => {
  it.live("calls the server, path, query, body, errors and all", () =>
    Effect.gen(function* () {
      const base = yield* url
      const into = yield* folder
      const spec = yield* Effect.promise(async () => (await fetch(`${base}/openapi.json`)).text())
      const [source, target] = [join(into, "openapi.json"), join(into, "client.ts")]
      writeFileSync(source, spec)
      execFileSync(join(root, "node_modules/.bin/oazapfts"), [source, target], { stdio: "pipe", timeout: 60_000 })
      // what it exports is what the document says
      const client = (yield* Effect.promise(() => import(pathToFileURL(target).href))) as Client
      client.defaults.baseUrl = base
      const call = (name: string, ...args: ReadonlyArray<unknown>) => Effect.promise(() => client[name]!(...args))

      const found = yield* call("libraryGetBook", "1", "moby")
      assert.strictEqual(found.status, 200)
      assert.include(found.data as object, { name: "shelves/1/books/moby", genre: "GENRE_FICTION", words: "206052" })

      const missing = yield* call("libraryGetBook", "1", "emma")
      assert.strictEqual(missing.status, 404)
      assert.include(missing.data as object, { code: 404, reason: "BOOK_NOT_FOUND" })

      const listed = yield* call("libraryListBooks", "7", {
        pageSize: 3,
        pageToken: "a b&c",
        filterTags: ["x", "y"],
        filterGenre: "GENRE_FACT",
        labels: { "a.b": "1" }
      })
      const { books, nextPageToken } = listed.data as { books: ReadonlyArray<Record<string, unknown>>; nextPageToken: string }
      assert.deepStrictEqual(
        [nextPageToken, books[0]!["pages"], books[0]!["tags"], books[0]!["labels"]],
        ["a b&c", 3, ["x", "y"], { "a.b": "1", shelf: "shelves/7", transport: "http" }]
      )

      const created = yield* call("libraryCreateBook", "9", { title: "New", genre: "GENRE_FACT", pages: 1, words: "12" }, { bookId: "n" })
      assert.include(created.data as object, { name: "shelves/9/books/n", title: "New", words: "12" })

      const updated = yield* call("libraryUpdateBook", "9", "n", { title: "Newer" }, { updateMask: "title,createTime" })
      assert.include(updated.data as object, { name: "shelves/9/books/n", title: "Newer" })
      assert.deepStrictEqual((updated.data as { tags: unknown }).tags, ["title", "create_time"])

      const lent = yield* call("libraryLendBook", "moby", { to: "me" })
      assert.include(lent.data as object, { bookId: "moby", to: "me" })
    }).pipe(Effect.scoped, Effect.provide(Live))
  )
})

const browser = [process.env["CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  (path) => path !== undefined && existsSync(path)
)

describe.skipIf(browser === undefined)("the page in Chromium", () => {
  it.live("shows the operations and asks nothing of anybody else", () =>
    Effect.gen(function* () {
      const base = yield* url
      yield* Effect.acquireUseRelease(
        Effect.promise(() => chromium.launch({ executablePath: browser!, args: ["--no-sandbox"] })),
        (running) =>
          Effect.promise(async () => {
            const page = await running.newPage()
            const requests: Array<string> = []
            const failures: Array<string> = []
            page.on("request", (request) => requests.push(request.url()))
            page.on("pageerror", (error) => failures.push(error.message))
            page.on("console", (message) => {
              if (message.type() === "error") failures.push(message.text())
            })
            await page.goto(`${base}/docs`, { waitUntil: "networkidle" })
            await page.getByText("Finds a book by its name. It has to be on a shelf.").first().waitFor()
            await page.getByText("BOOK_NOT_FOUND").first().waitFor({ state: "attached" })
            const outside = requests.filter((one) => !one.startsWith(base) && !/^(data|blob):/.test(one))
            assert.deepStrictEqual(outside, [])
            assert.include(requests, `${base}/docs`)
            assert.deepStrictEqual(failures, [])
            const links = await page.$$eval("a[href^='http']", (anchors) => anchors.map((anchor) => anchor.getAttribute("href") ?? ""))
            assert.deepStrictEqual(
              links.filter((link) => !link.startsWith(base) && !link.includes("scalar.com")),
              []
            )
          }),
        (running) => Effect.promise(() => running.close())
      )
    }).pipe(Effect.provide(Live))
  )
})
