/** Where the document and its page are, in which forms they leave, and that they are made once. */
import { gunzipSync } from "node:zlib"
import { Lifecycle } from "@effect-kratos/core/Lifecycle"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { HttpExchange } from "../../src/http/HttpExchange.ts"
import * as Serve from "../../src/openapi/Serve.ts"
import { Library } from "../gen/test/docs/v1/library_effect.ts"

interface Reply {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: Uint8Array
}

type Answers = Effect.Success<ReturnType<typeof Serve.make>>

const make = (options: Serve.Options = {}) =>
  Serve.make([Library], options, (message, cause) => {
    throw new Error(message, { cause })
  })

/** Undefined when nobody answers. */
const ask = (answers: Answers, target: string, headers: Readonly<Record<string, string>> = {}, method = "GET") =>
  Effect.callback<Reply | undefined>((resume) => {
    const exchange: HttpExchange = {
      version: 1,
      method,
      target,
      scheme: "http",
      authority: "localhost",
      fields: Object.entries(headers).flat(),
      header: (name) => headers[name],
      readBody: () => assert.fail("nothing reads a body here"),
      respond: (status, fields, body) => resume(Effect.succeed({ status, headers: new Map(fields), body })),
      whenAborted: () => {}
      // what else an exchange has is not asked here
    } as Partial<HttpExchange> as HttpExchange
    if (!answers(exchange)) resume(Effect.succeed(undefined))
  })

const json = (bytes: Uint8Array): { readonly info: { readonly title: string }; readonly paths: object } =>
  JSON.parse(Buffer.from(bytes).toString()) as never

describe("the document", () => {
  it.effect("is at its path, whatever the query, and nowhere else", () =>
    Effect.gen(function* () {
      const answers = yield* make()
      const reply = yield* ask(answers, "/openapi.json?x=1")
      assert.strictEqual(reply?.status, 200)
      assert.strictEqual(reply?.headers.get("content-type"), "application/json")
      assert.strictEqual(reply?.headers.get("content-length"), String(reply?.body.length))
      assert.property(json(reply!.body).paths, "/v1/books")
      assert.isUndefined(yield* ask(answers, "/openapi.json/x"))
      assert.isUndefined(yield* ask(answers, "/openapi.json", {}, "POST"))
      const moved = yield* make({ path: "/v1/spec" })
      assert.isUndefined(yield* ask(moved, "/openapi.json"))
      assert.strictEqual((yield* ask(moved, "/v1/spec"))?.status, 200)
    }).pipe(Effect.provide(Lifecycle.layer))
  )

  it.effect("leaves zipped for whoever takes that, under a tag of its own", () =>
    Effect.gen(function* () {
      const answers = yield* make()
      const plain = yield* ask(answers, "/openapi.json", { "accept-encoding": "br, gzip;q=0" })
      const zipped = yield* ask(answers, "/openapi.json", { "accept-encoding": "br, gzip;q=0.5" })
      assert.isUndefined(plain?.headers.get("content-encoding"))
      assert.strictEqual(zipped?.headers.get("content-encoding"), "gzip")
      assert.deepStrictEqual(new Uint8Array(gunzipSync(zipped!.body)), new Uint8Array(plain!.body))
      assert.notStrictEqual(zipped?.headers.get("etag"), plain?.headers.get("etag"))
      assert.strictEqual(plain?.headers.get("vary"), "accept-encoding")
    }).pipe(Effect.provide(Lifecycle.layer))
  )

  it.effect("is not sent to who has it", () =>
    Effect.gen(function* () {
      const answers = yield* make()
      const first = yield* ask(answers, "/openapi.json")
      const again = yield* ask(answers, "/openapi.json", { "if-none-match": `"other", W/${first?.headers.get("etag")}` })
      assert.deepStrictEqual([again?.status, again?.body.length], [304, 0])
      assert.strictEqual((yield* ask(answers, "/openapi.json", { "if-none-match": `"other"` }))?.status, 200)
    }).pipe(Effect.provide(Lifecycle.layer))
  )

  it.effect("is made once for each identity of the app", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      let made = 0
      const answers = yield* make({ transform: (document) => (made++, document) })
      assert.strictEqual(made, 0)
      const before = yield* ask(answers, "/openapi.json")
      yield* ask(answers, "/openapi.json")
      assert.strictEqual(made, 1)
      assert.strictEqual(json(before!.body).info.title, "test.docs.v1")
      yield* lifecycle.identify({ id: "1", name: "library", version: "2", metadata: {}, endpoints: [] })
      const after = yield* ask(answers, "/openapi.json")
      assert.strictEqual(json(after!.body).info.title, "library")
      assert.strictEqual(made, 2)
    }).pipe(Effect.provide(Lifecycle.layer))
  )

  it.effect("that cannot be made is an error without detail", () =>
    Effect.gen(function* () {
      const reports: Array<string> = []
      const transform = () => {
        throw new Error("secret")
      }
      const answers = yield* Serve.make([Library], { transform }, (message) => reports.push(message))
      const reply = yield* ask(answers, "/openapi.json")
      assert.strictEqual(reply?.status, 500)
      assert.notInclude(Buffer.from(reply!.body).toString(), "secret")
      assert.deepStrictEqual(reports, ["/openapi.json cannot be made"])
    }).pipe(Effect.provide(Lifecycle.layer))
  )
})

describe("the page", () => {
  it.effect("has the document inside and a policy that allows nothing from elsewhere", () =>
    Effect.gen(function* () {
      const answers = yield* make({ servers: [{ url: "/" }, { url: "https://api.example.com/v1" }] })
      const reply = yield* ask(answers, "/docs")
      assert.strictEqual(reply?.headers.get("content-type"), "text/html; charset=utf-8")
      const policy = reply?.headers.get("content-security-policy") ?? ""
      assert.include(policy, "default-src 'none'")
      assert.include(policy, "connect-src 'self' https://api.example.com;")
      const html = Buffer.from(reply!.body).toString()
      assert.include(html, "Finds a book by its name")
      assert.notMatch(html, /<script[^>]+src=|<link[^>]+href=/)
    }).pipe(Effect.provide(Lifecycle.layer))
  )

  it.effect("is elsewhere, or nowhere, when its user says so", () =>
    Effect.gen(function* () {
      const moved = yield* make({ docs: { path: "/api" } })
      assert.isUndefined(yield* ask(moved, "/docs"))
      assert.strictEqual((yield* ask(moved, "/api", {}, "HEAD"))?.status, 200)
      const off = yield* make({ docs: false })
      assert.isUndefined(yield* ask(off, "/docs"))
      assert.strictEqual((yield* ask(off, "/openapi.json"))?.status, 200)
    }).pipe(Effect.provide(Lifecycle.layer))
  )
})
