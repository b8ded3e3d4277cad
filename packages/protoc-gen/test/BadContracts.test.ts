/** What is wrong with a contract is said by file, name and cause; all of it at once; and nothing is written. */
import { assert, describe, it } from "@effect/vitest"
import * as Compiled from "./Compiled.ts"

const errors: Readonly<Record<string, ReadonlyArray<string>>> = {
  "bad/codes.proto": [
    "bad.codes.Own: value TOO_HIGH has code 601, but a code is an HTTP status from 100 to 600",
    "bad.codes.Own: value TOO_LOW has code 99, but a code is an HTTP status from 100 to 600",
    "bad.codes.Own: value NEGATIVE has code -1, but a code is an HTTP status from 100 to 600",
    "bad.codes.Inherited: value INHERITED_UNSPECIFIED has code 1000, but a code is an HTTP status from 100 to 600"
  ],
  "bad/names.proto": [
    "bad.names.One: value __ leaves no class name",
    "bad.names.One: value GREETER becomes class GreeterError, which is the name of a service",
    "bad.names.Two: value UserGone and value USER_GONE of bad.names.One both become class UserGone"
  ],
  "bad/methods.proto": [
    `bad.methods.Methods.Unknown: error "NOWHERE" is no value of an error enum that this file's package or imports declare with a code`,
    `bad.methods.Methods.Codeless: error "bad.methods.CODELESS" is no value of an error enum that this file's package or imports declare with a code`
  ],
  "bad/rules.proto": [
    "bad.rules.Rules.PathField: path variable nothing names nothing, but bad.rules.Message has no such field",
    "bad.rules.Rules.JsonName: path variable userId names userId, but bad.rules.Message has no such field; its proto name is user_id",
    "bad.rules.Rules.NestedField: path variable child.nothing names nothing, but bad.rules.Message has no such field",
    "bad.rules.Rules.ThroughScalar: path variable user_id.id goes into user_id, which is no message",
    "bad.rules.Rules.Body: body names nothing, but bad.rules.Message has no such field",
    "bad.rules.Rules.DottedBody: body names child.user_id, but bad.rules.Message has no such field",
    "bad.rules.Rules.ResponseBody: response_body names nothing, but bad.rules.Message has no such field",
    "bad.rules.Rules.Additional: path variable nothing names nothing, but bad.rules.Message has no such field",
    "bad.rules.Rules.NoSlash: path v1/a is malformed: it does not start with a slash",
    "bad.rules.Rules.Braces: path /v1/{user_id is malformed: its braces do not match",
    "bad.rules.Rules.NoVariable: path /v1/{user-id} is malformed: {user-id} is no variable",
    "bad.rules.Rules.Twice: path /v1/{user_id}/{user_id} is malformed: variable user_id occurs twice"
  ]
}

describe("errors", () => {
  for (const [name, expected] of Object.entries(errors)) {
    it(name, () => {
      const { error, files } = Compiled.generate([name])
      assert.deepStrictEqual(
        error?.split("\n"),
        expected.map((line) => `${name}: ${line}`)
      )
      assert.strictEqual(files.size, 0)
    })
  }

  it("are not reported of files that are only imported", () => {
    // every request of these tests holds all files
    const { error, files, warnings } = Compiled.generate(["golden/mixed/v1/a.proto"])
    assert.strictEqual(error, undefined)
    assert.deepStrictEqual(warnings, [])
    assert.strictEqual(files.size, 2)
  })
})

describe("warnings", () => {
  it("bad/warnings.proto is generated nevertheless", () => {
    const { error, files, warnings } = Compiled.generate(["bad/warnings.proto"])
    assert.strictEqual(error, undefined)
    assert.deepStrictEqual([...files.keys()], ["bad/warnings_errors.ts", "bad/warnings_effect.ts", "bad/warnings_comments.ts"])
    assert.deepStrictEqual(
      warnings,
      [
        "bad.warnings.Message.Inner: error enums must be at the top level of a file; this one yields no classes",
        "bad.warnings.Reasons: value SUCCESS has code 200, which callers do not take for a failure",
        "bad.warnings.Warnings.GetBody: a GET request should have no body",
        "bad.warnings.Warnings.DeleteBody: a DELETE request should have no body",
        `bad.warnings.Warnings.NoBody: a POST request without body takes all its fields from the query; did you mean body: "*"?`,
        "bad.warnings.Warnings.Slash: path /v1/a/ ends with a slash, which callers rarely send",
        "bad.warnings.Warnings.List: path variable tags binds a list, but a path has one value for it",
        "bad.warnings.Warnings.Map: path variable labels binds a map, but a path has one value for it",
        "bad.warnings.Warnings.Nested: additional_bindings inside of additional_bindings are ignored"
      ].map((line) => `bad/warnings.proto: ${line}`)
    )
  })
})
