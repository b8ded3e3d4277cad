/** The document says what REST does, and says it in valid OpenAPI. */
import { assert, describe, it } from "@effect/vitest"
import { Validator } from "@seriousme/openapi-schema-validator"
import { Ajv2020 } from "ajv/dist/2020.js"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as OpenApi from "../../src/openapi/OpenApi.ts"
import * as Binding from "../../src/rest/Binding.ts"
import * as Router from "../../src/rest/Router.ts"
import type * as Service from "../../src/Service.ts"
import { Library } from "../gen/test/docs/v1/library_effect.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import { Rest } from "../gen/test/v1/rest_effect.ts"

const app = { id: "1", name: "library", version: "1.2.3", metadata: {}, endpoints: [] }

const documentOf = (services: ReadonlyArray<Service.Any>, options?: OpenApi.Options) =>
  Effect.map(OpenApi.loadComments(services), (comments) => OpenApi.make(services, app, comments, options))

const library = documentOf([Library])

/** Anything in a document, by its keys. */
const at = (value: unknown, ...path: ReadonlyArray<string | number>): unknown =>
  path.reduce<unknown>((found, key) => (found as Record<string | number, unknown> | undefined)?.[key], value)

describe("the document", () => {
  it.effect("is valid OpenAPI 3.1, for every way to bind a call", () =>
    Effect.gen(function* () {
      const document = yield* documentOf([Library, Rest, Echo], {
        securitySchemes: { token: { type: "http", scheme: "bearer" } },
        security: [{ token: [] }],
        info: { description: "All of it.", license: { name: "MIT", identifier: "MIT" } }
      })
      const { errors, valid } = yield* Effect.promise(() => new Validator().validate(JSON.parse(JSON.stringify(document))))
      assert.isTrue(valid, JSON.stringify(errors))
      const ids = Object.values(document.paths).flatMap((item) => Object.values(item).map(({ operationId }) => operationId))
      assert.strictEqual(new Set(ids).size, ids.length)
      assert.isAbove(ids.length, 25)
    })
  )

  it.effect("refers only to what it defines", () =>
    Effect.gen(function* () {
      const document = yield* documentOf([Library, Rest, Echo])
      const refs = new Set([...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]*)"/g)].map(([, ref]) => ref!))
      assert.isAbove(refs.size, 10)
      for (const ref of refs) assert.isDefined(at(document, ...ref.split("/")), ref)
    })
  )

  it.effect("is that of the app, unless its user says otherwise", () =>
    Effect.gen(function* () {
      const { info, servers, tags } = yield* library
      assert.deepStrictEqual(info, { title: "library", version: "1.2.3" })
      assert.deepStrictEqual(servers, [{ url: "/" }])
      assert.deepStrictEqual(tags, [
        { name: "test.docs.v1.Library", description: "Keeps books on shelves.\n\nWhoever can read may use it." }
      ])
      const other = yield* documentOf([Library], { info: { title: "Mine" }, transform: (document) => ({ ...document, paths: {} }) })
      assert.deepStrictEqual([other.info.title, other.info.version, Object.keys(other.paths)], ["Mine", "1.2.3", []])
    })
  )
})

describe("paths", () => {
  it.effect("are the routes of REST, with a parameter for each wildcard", () =>
    Effect.gen(function* () {
      const { paths } = yield* library
      assert.deepStrictEqual(
        Object.entries(paths).map(([path, item]) => `${Object.keys(item).join(",")} ${path}`),
        [
          "get,patch,delete /v1/shelves/{shelves_id}/books/{books_id}",
          "get,post /v1/shelves/{shelves_id}/books",
          "get /v1/books",
          "post /v1/books/{book_id}:lend",
          "get /v1/shelves/{shelves_id}/books/{books_id}/loans:watch",
          "get /v1/secrets/{name}"
        ]
      )
      const parameters = at(paths, "/v1/shelves/{shelves_id}/books/{books_id}", "get", "parameters")
      assert.deepStrictEqual(parameters, [
        {
          name: "shelves_id",
          in: "path",
          required: true,
          description: "`name` is `shelves/{shelves_id}/books/{books_id}`.",
          schema: { type: "string", pattern: "^[^/]+$" }
        },
        {
          name: "books_id",
          in: "path",
          required: true,
          description: "`name` is `shelves/{shelves_id}/books/{books_id}`.",
          schema: { type: "string", pattern: "^[^/]+$" }
        }
      ])
      // the same path under other names of its fields
      assert.deepStrictEqual(
        (at(paths, "/v1/shelves/{shelves_id}/books/{books_id}", "patch", "parameters") as ReadonlyArray<{ name: string }>).map(
          ({ name }) => name
        ),
        ["shelves_id", "books_id", "updateMask"]
      )
    })
  )

  it.effect("have every verb of a rule without one, and none that OpenAPI does not know", () =>
    Effect.gen(function* () {
      const { paths } = yield* documentOf([Rest])
      assert.deepStrictEqual(Object.keys(paths["/v1/any/{id}"]!), ["get", "put", "post", "patch", "delete"])
      assert.deepStrictEqual(Object.keys(paths["/v1/ids/{id}"]!), ["head"])
      assert.isDefined(paths["/v1/wild/{wildcard}/ids/{id}"])
      assert.isDefined(paths["/v1/files/{name}"])
      assert.isDefined(paths["/v1/wide:list"])
      const chat = paths["/v1/chat/{id}"]!["get"]!
      assert.deepStrictEqual(Object.keys(chat.responses), ["101", "426", "default"])
      assert.deepStrictEqual(
        chat.parameters?.map(({ name }) => name),
        ["id"]
      )
      assert.property(chat, "x-websocket")
    })
  )
})

describe("every operation", () => {
  const services = [Library, Rest, Echo]
  const router = Router.make(
    services
      .flatMap((service) => service.descriptor.methods)
      .filter((method) => method.methodKind === "unary" || method.methodKind === "server_streaming")
      .flatMap((method) => Result.getOrThrow(Binding.fromMethod(method)))
      .map((binding) => ({ method: binding.httpMethod, template: binding.template, value: binding.method }))
  )

  it.effect("is where the router finds its method", () =>
    Effect.gen(function* () {
      const { paths } = yield* documentOf(services)
      const documented = new Set<string>()
      for (const [path, item] of Object.entries(paths)) {
        for (const [verb, { operationId }] of Object.entries(item)) {
          const found = router.match(verb.toUpperCase(), path.replaceAll(/\{[^}]+\}/g, "x1"))
          // a WebSocket is opened beside the routes
          if ("x-websocket" in item[verb]!) continue
          assert.strictEqual(found._tag, "Found", path)
          if (found._tag !== "Found") continue
          const { name, parent } = found.route.value
          assert.isTrue(operationId.startsWith(`${parent.name}_${name}`), `${verb} ${path} is ${operationId}, served by ${name}`)
          documented.add(found.route.value.name)
        }
      }
      // and none is missing
      for (const method of services.flatMap((service) => service.descriptor.methods)) {
        const isRoute = method.methodKind === "unary" || method.methodKind === "server_streaming"
        const hasRule = Result.getOrThrow(Binding.fromMethod(method)).length > 0
        if (isRoute && hasRule) assert.isTrue(documented.has(method.name), method.name)
      }
    })
  )
})

describe("operations", () => {
  it.effect("say in words what the contract says", () =>
    Effect.gen(function* () {
      const { paths } = yield* library
      const get = paths["/v1/shelves/{shelves_id}/books/{books_id}"]!["get"]!
      assert.strictEqual(get.operationId, "Library_GetBook")
      assert.strictEqual(get.summary, "Finds a book by its name")
      assert.strictEqual(get.description, "Finds a book by its name. It has to be on a shelf.")
      assert.strictEqual(paths["/v1/books/{book_id}:lend"]!["post"]!.deprecated, true)
      assert.strictEqual(paths["/v1/books"]!["get"]!.operationId, "Library_ListBooks_2")
    })
  )

  it.effect("list the errors that a method can raise, by status", () =>
    Effect.gen(function* () {
      const { paths } = yield* library
      const { responses } = paths["/v1/shelves/{shelves_id}/books/{books_id}"]!["get"]!
      assert.deepStrictEqual(Object.keys(responses), ["200", "404", "default"])
      assert.strictEqual(at(responses, "404", "description"), "`BOOK_NOT_FOUND`: No shelf has it.")
      const media = at(responses, "404", "content", "application/json")
      assert.deepStrictEqual(at(media, "schema", "allOf", 1, "properties", "reason"), {
        anyOf: [{ type: "string", enum: ["BOOK_NOT_FOUND"] }, { type: "string" }]
      })
      assert.deepStrictEqual(at(media, "examples", "BOOK_NOT_FOUND", "value"), {
        code: 404,
        reason: "BOOK_NOT_FOUND",
        message: "No shelf has it.",
        metadata: {}
      })
      // without the option: all of the package
      const lend = at(paths, "/v1/books/{book_id}:lend", "post", "responses", "409", "content", "application/json", "schema", "allOf", 1)
      assert.deepStrictEqual(at(lend, "properties", "reason", "anyOf", 0, "enum"), ["BOOK_LENT", "BOOK_MISPLACED"])
      // with the empty option: none
      assert.deepStrictEqual(Object.keys(paths["/v1/books"]!["get"]!.responses), ["200", "default"])
    })
  )

  it.effect("put into the query what neither path nor body holds", () =>
    Effect.gen(function* () {
      const { paths } = yield* library
      const parameters = at(paths, "/v1/shelves/{shelves_id}/books", "get", "parameters") as ReadonlyArray<Record<string, unknown>>
      assert.deepStrictEqual(
        parameters.map((parameter) => `${String(parameter["in"])} ${String(parameter["name"])}`),
        [
          "path shelves_id",
          "query pageSize",
          "query pageToken",
          "query filter.genre",
          "query filter.tags",
          "query filter.since",
          "query labels"
        ]
      )
      assert.deepStrictEqual(parameters[1], {
        name: "pageSize",
        in: "query",
        description: "How many, at most 100.",
        schema: { type: "integer", format: "int32", minimum: 0, maximum: 100 }
      })
      assert.strictEqual(parameters[6]!["style"], "deepObject")
      const create = at(paths, "/v1/shelves/{shelves_id}/books", "post", "parameters") as ReadonlyArray<Record<string, unknown>>
      assert.deepStrictEqual(
        create.map(({ name }) => name),
        ["shelves_id", "bookId"]
      )
    })
  )

  it.effect("leave out of the body what the path holds, however deep", () =>
    Effect.gen(function* () {
      const { paths } = yield* library
      const patch = at(
        paths,
        "/v1/shelves/{shelves_id}/books/{books_id}",
        "patch",
        "requestBody",
        "content",
        "application/json",
        "schema",
        "properties"
      )
      assert.notProperty(patch, "name")
      assert.property(patch, "title")
      const lend = paths["/v1/books/{book_id}:lend"]!["post"]!.requestBody!
      assert.strictEqual(lend.required, true)
      assert.deepStrictEqual(at(lend.content["application/json"]!.schema, "required"), ["to"])
      assert.include(at(lend.content["application/json"]!.schema, "description"), "friends may keep it longer")
      const create = paths["/v1/shelves/{shelves_id}/books"]!["post"]!.requestBody!
      assert.deepStrictEqual(
        [create.required, create.content["application/json"]!.schema["$ref"]],
        [true, "#/components/schemas/test.docs.v1.Book"]
      )
    })
  )

  it.effect("answer with one field, with bytes, or with a stream, as the rule says", () =>
    Effect.gen(function* () {
      const { paths } = yield* documentOf([Rest, Library])
      assert.deepStrictEqual(at(paths, "/v1/wide", "get", "responses", "200", "content", "application/json", "schema"), {
        type: "array",
        items: { $ref: "#/components/schemas/test.v1.Wide" }
      })
      assert.deepStrictEqual(Object.keys(at(paths, "/v1/downloads/{name}", "get", "responses", "200", "content") as object), ["*/*"])
      assert.deepStrictEqual(Object.keys(at(paths, "/v1/uploads/{name}", "post", "requestBody", "content") as object), [
        "application/octet-stream"
      ])
      const watch = at(paths, "/v1/shelves/{shelves_id}/books/{books_id}/loans:watch", "get", "responses", "200", "content")
      assert.deepStrictEqual(watch, { "text/event-stream": { schema: { $ref: "#/components/schemas/test.docs.v1.Loan" } } })
    })
  )
})

describe("schemas", () => {
  const validator = Effect.map(library, (document) => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    ajv.addSchema({ $id: "doc", ...JSON.parse(JSON.stringify(document)) } as object)
    return ajv.compile({ $ref: "doc#/components/schemas/test.docs.v1.Book" })
  })
  const book = { title: "T", genre: "GENRE_FACT", pages: 1 }

  it.effect.each([
    ["all that has to be there", book, true],
    ["a book in a book", { ...book, prequel: { ...book, prequel: book } }, true],
    ["an empty value that is ignored", { ...book, isbn: "" }, true],
    ["a value that fits its pattern", { ...book, isbn: "9780306406157" }, true],
    ["64-bit integers as text", { ...book, words: "12345678901234567890" }, true],
    ["three bytes", { ...book, cover: "AQID" }, true],
    ["no title", { genre: "GENRE_FACT", pages: 1 }, false],
    ["an empty title", { ...book, title: "" }, false],
    ["a long title", { ...book, title: "x".repeat(201) }, false],
    ["a value outside of its pattern", { ...book, isbn: "978" }, false],
    ["an enum's zero where it is forbidden", { ...book, genre: "GENRE_UNSPECIFIED" }, false],
    ["an enum value that nobody knows", { ...book, genre: "GENRE_POEM" }, false],
    ["a missing enum whose zero is forbidden", { title: "T", pages: 1 }, false],
    ["a number at its exclusive bound", { ...book, pages: 10_000 }, false],
    ["a number below its bound", { ...book, pages: 0 }, false],
    ["a number for 64 bits", { ...book, words: 1 }, false],
    ["six tags", { ...book, tags: ["a", "b", "c", "d", "e", "f"] }, false],
    ["a tag twice", { ...book, tags: ["a", "a"] }, false],
    ["a long tag", { ...book, tags: ["x".repeat(21)] }, false],
    ["a key without its prefix", { ...book, labels: { y: "" } }, false],
    ["no number where one is asked for", { ...book, rating: "NaN" }, false],
    ["a rating out of bounds", { ...book, rating: 5.5 }, false],
    ["both of a oneof", { ...book, person: "p", institution: {} }, false],
    ["one of a oneof", { ...book, institution: { label: "x" } }, true],
    ["four bytes", { ...book, cover: "AQIDBA==" }, false],
    ["a state that is not listed", { ...book, state: "lost" }, false],
    ["a message that is unset, as replies have it", { ...book, prequel: null, createTime: null }, true],
    ["an inner book that is wrong", { ...book, prequel: { title: "" } }, false]
  ] as const)("%s", ([, value, expected]) =>
    Effect.gen(function* () {
      const validate = yield* validator
      assert.strictEqual(validate(value), expected, JSON.stringify(validate.errors))
    })
  )

  it.effect("carry behaviour, notes and comments", () =>
    Effect.gen(function* () {
      const { components } = yield* library
      const properties = at(components.schemas, "test.docs.v1.Book", "properties")
      assert.deepStrictEqual(at(properties, "createTime"), {
        type: ["string", "null"],
        format: "date-time",
        readOnly: true,
        description: "When it came."
      })
      assert.strictEqual(at(properties, "contact", "writeOnly"), true)
      assert.strictEqual(at(properties, "state", "deprecated"), true)
      assert.strictEqual(at(properties, "words", "description"), "Must be at least 0.")
      assert.strictEqual(
        at(components.schemas, "test.docs.v1.Genre", "description"),
        "What a book is about.\n\n- `GENRE_FACT`: True stories."
      )
    })
  )
})
