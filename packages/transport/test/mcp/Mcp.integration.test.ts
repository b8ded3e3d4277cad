/** The client of the official SDK uses a server's methods as tools. */
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import type * as Aspect from "@effect-kratos/core/Aspect"
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Mcp from "../../src/mcp/Serve.ts"
import * as Server from "../../src/Server.ts"
import { Library } from "../gen/test/docs/v1/library_effect.ts"
import { LibraryLive } from "../openapi/LibraryLive.ts"

/** What aspects saw of the calls. */
const seen: Array<readonly [operation: string, transport: string, user: string | undefined, code: number]> = []

const watch: Aspect.Aspect<KratosError.KratosError> = <A, E, R>(call: Effect.Effect<A, E, R>) =>
  Effect.withFiber((fiber) => {
    const { operation, request, transport } = Context.getUnsafe(fiber.context, Call)
    const user = request.get("x-user")?.[0]
    const guarded: Effect.Effect<A, E | KratosError.KratosError, R> =
      user === "nobody" ? Effect.fail(KratosError.unauthorized("NOBODY", "who are you?")) : call
    return Effect.onExit(guarded, (exit) =>
      Effect.sync(() => {
        seen.push([operation, transport, user, KratosError.statusFromExit(exit).code])
      })
    )
  })

const serve = (mcp: boolean | Mcp.Options = true) =>
  Server.layer({ services: [Library], host: "127.0.0.1", port: 0, mcp, aspects: watch, maxBodyBytes: 10_000 }).pipe(
    Layer.provide(LibraryLive)
  )

const url = Effect.map(Server.Server, ({ address }) => new URL(`http://127.0.0.1:${address.port}/mcp`))

const connect = (headers: Readonly<Record<string, string>> = {}) =>
  Effect.acquireRelease(
    Effect.flatMap(url, (at) =>
      Effect.promise(async () => {
        const client = new Client({ name: "test", version: "1" })
        const transport = new StreamableHTTPClientTransport(at, { requestInit: { headers: { ...headers } } })
        // the SDK's own types do not agree under exactOptionalPropertyTypes
        await client.connect(transport as Parameters<typeof client.connect>[0])
        return { client, transport }
      })
    ),
    ({ client }) => Effect.promise(() => client.close())
  )

const LIBRARY = "test_docs_v1_Library"

interface Result {
  readonly isError?: boolean
  readonly content: ReadonlyArray<{ readonly text: string }>
  readonly structuredContent?: Readonly<Record<string, unknown>>
}

const callTool = (client: Client, name: string, args: Record<string, unknown> = {}) =>
  Effect.promise(async () => (await client.callTool({ name: `${LIBRARY}_${name}`, arguments: args })) as unknown as Result)

describe("the official client", () => {
  it.live("lists the tools", () =>
    Effect.gen(function* () {
      const { client } = yield* connect()
      const { tools } = yield* Effect.promise(() => client.listTools())
      assert.deepStrictEqual(tools.map(({ name }) => name.slice(LIBRARY.length + 1)).sort(), [
        "CountBooks",
        "CreateBook",
        "DeleteBook",
        "GetBook",
        "LendBook",
        "ListBooks"
      ])
      const burn = tools.find(({ name }) => name.endsWith("DeleteBook"))!
      assert.include(burn.annotations, { readOnlyHint: false, destructiveHint: true })
      assert.strictEqual(burn.inputSchema.type, "object")
      assert.property(burn.inputSchema.properties, "name")
    }).pipe(Effect.scoped, Effect.provide(serve()))
  )

  it.live("calls, with structured content that fits its schema", () =>
    Effect.gen(function* () {
      seen.length = 0
      const { client } = yield* connect({ "x-user": "ada" })
      // the client checks the replies of tools that it has listed
      yield* Effect.promise(() => client.listTools())
      const book = yield* callTool(client, "GetBook", { name: "shelves/1/books/moby" })
      assert.isNotTrue(book.isError)
      assert.include(book.structuredContent, { title: "Moby-Dick", genre: "GENRE_FICTION", words: "206052", isbn: "" })
      assert.deepStrictEqual(JSON.parse(book.content[0]!.text), book.structuredContent)
      const count = yield* callTool(client, "CountBooks")
      assert.deepStrictEqual(count.structuredContent, { books: "9007199254740993" })
      const gone = yield* callTool(client, "DeleteBook", { name: "shelves/1/books/moby" })
      assert.deepStrictEqual(gone.structuredContent, {})
      assert.deepStrictEqual(seen, [
        ["/test.docs.v1.Library/GetBook", "mcp", "ada", 200],
        ["/test.docs.v1.Library/CountBooks", "mcp", "ada", 200],
        ["/test.docs.v1.Library/DeleteBook", "mcp", "ada", 200]
      ])
    }).pipe(Effect.scoped, Effect.provide(serve()))
  )

  it.live("reads errors as results: the contract's, bad arguments, defects without detail, aspects'", () =>
    Effect.gen(function* () {
      const { client } = yield* connect()
      yield* Effect.promise(() => client.listTools())
      const failure = (result: Result) => {
        assert.isTrue(result.isError)
        return JSON.parse(result.content[0]!.text) as Record<string, unknown>
      }
      assert.deepStrictEqual(failure(yield* callTool(client, "GetBook", { name: "x" })), {
        code: 404,
        reason: "BOOK_NOT_FOUND",
        message: "no x",
        metadata: { name: "x" }
      })
      assert.include(failure(yield* callTool(client, "GetBook", { name: 1 })), { code: 400, reason: "CODEC" })
      assert.include(failure(yield* callTool(client, "GetBook", { title: "x" })), { code: 400, reason: "CODEC" })
      const defect = failure(yield* callTool(client, "DeleteBook", { name: "x" }))
      assert.strictEqual(defect["code"], 500)
      assert.notInclude(JSON.stringify(defect), "secret")
      const { client: nobody } = yield* connect({ "x-user": "nobody" })
      assert.include(failure(yield* callTool(nobody, "CountBooks")), { code: 401, reason: "NOBODY" })
    }).pipe(Effect.scoped, Effect.provide(serve()))
  )

  it.live("cannot call what is no tool", () =>
    Effect.gen(function* () {
      const { client } = yield* connect()
      const refusals = yield* Effect.forEach(["Secret", "UpdateBook", "WatchLoans"], (name) =>
        Effect.promise(() =>
          client.callTool({ name: `${LIBRARY}_${name}`, arguments: {} }).then(
            () => "called",
            (error: Error) => error.message
          )
        )
      )
      for (const refusal of refusals) assert.match(refusal, /not found|-32602/)
    }).pipe(Effect.scoped, Effect.provide(serve()))
  )

  it.live("cancels, which interrupts the handler; a deadline does as well", () =>
    Effect.gen(function* () {
      seen.length = 0
      const { client } = yield* connect()
      const abort = new AbortController()
      const args = { bookId: "moby", to: "me", days: 1000 }
      const pending = client.callTool({ name: `${LIBRARY}_LendBook`, arguments: args }, undefined, { signal: abort.signal }).then(
        () => "done",
        () => "cancelled"
      )
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* callTool(client, "CountBooks")
      abort.abort()
      assert.strictEqual(yield* Effect.promise(() => pending), "cancelled")
      while (seen.length < 2) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      assert.deepStrictEqual(
        seen.map(([operation, , , code]) => [operation.split("/")[2], code]),
        [
          ["CountBooks", 200],
          ["LendBook", 499]
        ]
      )
      const { client: hasty } = yield* connect({ "grpc-timeout": "20m" })
      const late = yield* callTool(hasty, "LendBook", args)
      assert.include(JSON.parse(late.content[0]!.text) as object, { code: 504 })
    }).pipe(Effect.scoped, Effect.provide(serve()))
  )

  it.live("finds an evicted session gone, and a new one takes its place", () =>
    Effect.gen(function* () {
      const { client: first } = yield* connect()
      yield* connect()
      const error = yield* Effect.promise(() =>
        first.listTools().then(
          () => "listed",
          (cause: Error) => cause.message
        )
      )
      assert.notStrictEqual(error, "listed")
    }).pipe(Effect.scoped, Effect.provide(serve({ maxSessions: 1 })))
  )
})

describe("the endpoint", () => {
  const post = (body: string, headers: Readonly<Record<string, string>> = {}) =>
    Effect.flatMap(url, (at) =>
      Effect.promise(() =>
        fetch(at, {
          method: "POST",
          body,
          headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers }
        })
      )
    )

  it.live("refuses browsers of other origins, bodies that are too large, and what is no JSON", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* post("{}", { origin: "https://evil.example" })).status, 403)
      assert.strictEqual((yield* post(`"${"x".repeat(20_000)}"`)).status, 413)
      const broken = yield* post("{")
      assert.strictEqual(((yield* Effect.promise(() => broken.json())) as { error: { code: number } }).error.code, -32_700)
      assert.strictEqual((yield* post("{}", { "content-type": "text/plain" })).status, 415)
    }).pipe(Effect.provide(serve()))
  )

  it.live("is at another path, or nowhere, when the owner says so", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* post("{}")).status, 404)
    }).pipe(Effect.provide(serve({ path: "/tools" })))
  )

  it.live("is not there by default", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* post("{}")).status, 404)
    }).pipe(Effect.provide(serve(false)))
  )
})
