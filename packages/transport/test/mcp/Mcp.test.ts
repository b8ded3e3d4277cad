/** Which methods are tools, and what a model is told of them. */
import { assert, describe, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import * as Effect from "effect/Effect"
import * as Sessions from "../../src/mcp/Sessions.ts"
import * as Tools from "../../src/mcp/Tools.ts"
import * as OpenApi from "../../src/openapi/OpenApi.ts"
import type * as Service from "../../src/Service.ts"
import { Library } from "../gen/test/docs/v1/library_effect.ts"
import { Rest } from "../gen/test/v1/rest_effect.ts"

const toolsOf = (services: ReadonlyArray<Service.Any>, listed: ReadonlyArray<string> = []) =>
  Effect.map(OpenApi.loadComments(services), (comments) => Tools.make(services, comments, new Set(listed.map(Tools.operationOf))))

const named = (tools: ReadonlyArray<Tools.Tool>, name: string): Tools.Tool => {
  const tool = tools.find((one) => one.name.endsWith(name))
  assert.isDefined(tool, name)
  return tool!
}

describe("tools", () => {
  it.effect("are the methods without side effects, and those that the contract marks", () =>
    Effect.gen(function* () {
      const tools = yield* toolsOf([Library])
      assert.deepStrictEqual(
        tools.map(({ isDestructive, isIdempotent, isReadOnly, name }) => [name, isReadOnly, isDestructive, isIdempotent]),
        [
          ["test_docs_v1_Library_GetBook", true, false, true],
          ["test_docs_v1_Library_ListBooks", true, false, true],
          ["test_docs_v1_Library_CreateBook", false, false, false],
          ["test_docs_v1_Library_DeleteBook", false, true, true],
          ["test_docs_v1_Library_LendBook", false, false, false],
          ["test_docs_v1_Library_CountBooks", true, false, true]
        ]
      )
    })
  )

  it.effect.each(["test.docs.v1.Library.UpdateBook", "test.docs.v1.Library/UpdateBook", "/test.docs.v1.Library/UpdateBook"])(
    "are also those that the owner lists, as %s, and may destroy",
    (name) =>
      Effect.gen(function* () {
        const tool = named(yield* toolsOf([Library], [name]), "UpdateBook")
        assert.deepStrictEqual([tool.isReadOnly, tool.isDestructive], [false, true])
      })
  )

  it.effect("are never those that the contract hides, nor streams", () =>
    Effect.gen(function* () {
      const tools = yield* toolsOf([Library], ["test.docs.v1.Library.Secret", "test.docs.v1.Library.WatchLoans"])
      assert.isFalse(tools.some(({ name }) => /Secret|WatchLoans/.test(name)))
    })
  )

  it.effect("have names that every client takes", () =>
    Effect.gen(function* () {
      const tools = yield* toolsOf([Library, Rest])
      for (const { name } of tools) assert.match(name, /^[a-zA-Z0-9_-]{1,64}$/)
      assert.strictEqual(new Set(tools.map(({ name }) => name)).size, tools.length)
      // two services whose names become one
      const twice = yield* toolsOf([Library, Library])
      assert.strictEqual(new Set(twice.map(({ name }) => name)).size, tools.filter(({ name }) => name.includes("Library")).length * 2)
    })
  )

  it.effect("say what they do and how they fail", () =>
    Effect.gen(function* () {
      const tool = named(yield* toolsOf([Library]), "GetBook")
      assert.strictEqual(tool.description, "Finds a book by its name. It has to be on a shelf.\n\nCan fail with BOOK_NOT_FOUND (404).")
    })
  )

  it.effect("take arguments by a schema that stands alone, without what only the server writes", () =>
    Effect.gen(function* () {
      const { inputSchema, outputSchema } = named(yield* toolsOf([Library]), "CreateBook")
      const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(inputSchema)
      const book = { title: "T", genre: "GENRE_FACT", pages: 1 }
      assert.isTrue(validate({ shelf: "shelves/1", book }), JSON.stringify(validate.errors))
      assert.isFalse(validate({ shelf: "shelves/1", book: { ...book, title: "" } }))
      assert.isFalse(validate({ book }))
      assert.notInclude(JSON.stringify(inputSchema), "createTime")
      // a reply is not refused for what is in it: only its shape is promised
      const reply = new Ajv2020({ strict: false, validateFormats: false }).compile(outputSchema!)
      assert.isTrue(reply({ title: "", createTime: "2026-01-01T00:00:00Z", prequel: {} }))
      assert.isFalse(reply({ title: 1 }))
    })
  )
})

describe("sessions", () => {
  it("beyond the limit, those unused for longest give way", () => {
    const sessions = Sessions.make(2)
    assert.deepStrictEqual(sessions.open("a"), [])
    assert.deepStrictEqual(sessions.open("b"), [])
    sessions.touch("a")
    sessions.touch("unknown")
    assert.deepStrictEqual(sessions.open("c"), ["b"])
    sessions.close("a")
    assert.deepStrictEqual(sessions.open("d"), [])
    assert.deepStrictEqual(sessions.open("e"), ["c"])
  })
})
