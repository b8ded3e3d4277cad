import { create, toJson, type DescMethod, type Message } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { HttpRuleSchema, type HttpRule } from "../../src/gen/google/api/http_pb.ts"
import * as Binding from "../../src/rest/Binding.ts"
import * as Router from "../../src/rest/Router.ts"
import { Rest } from "../gen/test/v1/rest_pb.ts"
import { bodies } from "./rows/bodies.ts"
import { paths } from "./rows/paths.ts"
import { queries } from "./rows/queries.ts"
import type { Row } from "./rows/Row.ts"

const routerOf = (bindings: ReadonlyArray<Binding.Binding>): Router.Router<Binding.Binding> =>
  Router.make(bindings.map((binding) => ({ method: binding.httpMethod, template: binding.template, value: binding })))

const service = routerOf(Rest.methods.flatMap((method) => Result.getOrThrow(Binding.fromMethod(method))))

/** `METHOD /template body=field`, where `custom:` stands before methods that the annotation does not name. */
const ruleOf = (text: string): HttpRule => {
  const [method = "", path = "", body = ""] = text.split(/ (?=\/|body=)/)
  const rule = create(HttpRuleSchema, { body: body.replace("body=", "") })
  if (method.startsWith("custom:"))
    rule.pattern = { case: "custom", value: { $typeName: "google.api.CustomHttpPattern", kind: method.slice(7), path } }
  else rule.pattern = { case: method.toLowerCase() as "get" | "put" | "post" | "patch" | "delete", value: path }
  return rule
}

interface Outcome {
  readonly method?: DescMethod
  readonly message?: Message
  readonly status?: number
  readonly reason?: string
  readonly says?: string
  readonly allow?: ReadonlyArray<string>
}

const send = (router: Router.Router<Binding.Binding>, row: Row): Outcome => {
  const [verb = "", target = ""] = row.line.split(/ (.*)/s)
  const mark = target.indexOf("?")
  const match = router.match(verb, mark === -1 ? target : target.slice(0, mark))
  switch (match._tag) {
    case "NotFound":
      return { status: 404 }
    case "MethodNotAllowed":
      return { status: 405, allow: match.allow }
    case "BadPath":
      return { status: 400, reason: "CODEC", says: "" }
    case "Found": {
      const { value } = match.route
      const bound = value.bind({
        variables: match.variables,
        query: mark === -1 ? "" : target.slice(mark + 1),
        contentType: row.type,
        body: typeof row.body === "string" ? new TextEncoder().encode(row.body) : row.body
      })
      return Result.match(bound, {
        onFailure: (error) => ({ method: value.method, status: error.code, reason: error.reason, says: error.message }),
        onSuccess: (message) => ({ method: value.method, message })
      })
    }
  }
}

const title = (row: Row): string => {
  const text = `${row.rule === undefined ? "" : `[${row.rule}] `}${row.line} ${row.type ?? ""} ${typeof row.body === "string" ? row.body : (row.body ?? "")}`
  return text.length > 140 ? `${text.slice(0, 140)}…` : text
}

const run = (row: Row): void => {
  const router = row.rule === undefined ? service : routerOf(Result.getOrThrow(Binding.compile(Rest.method.createWide, ruleOf(row.rule))))
  const outcome = send(router, row)
  if (row.message !== undefined) {
    assert.isUndefined(outcome.status, outcome.says)
    if (row.method !== undefined) assert.strictEqual(outcome.method?.localName, row.method)
    assert.deepStrictEqual<unknown>(toJson(outcome.method!.input, outcome.message!), row.message)
    return
  }
  assert.strictEqual(outcome.status, row.status)
  assert.strictEqual(outcome.reason, row.reason)
  if (row.says !== undefined) assert.include(outcome.says ?? "", row.says)
  if (row.allow !== undefined) assert.deepStrictEqual(outcome.allow, row.allow)
}

const tables: Readonly<Record<string, ReadonlyArray<Row>>> = { paths, queries, bodies }

for (const [name, rows] of Object.entries(tables)) {
  describe(`REST table: ${name}`, () => {
    for (const row of rows) it(title(row), () => run(row))
  })
}

describe("REST table", () => {
  it("has at least 250 different rows", () => {
    const rows = Object.values(tables).flat()
    const different = new Set(
      rows.map((row) => JSON.stringify([row.rule, row.line, row.type, typeof row.body === "string" ? row.body : [...(row.body ?? [])]]))
    )
    assert.strictEqual(different.size, rows.length)
    assert.isAtLeast(rows.length, 250)
  })

  it("pollutes nothing", () => {
    assert.isUndefined(({} as { polluted?: unknown }).polluted)
  })
})
