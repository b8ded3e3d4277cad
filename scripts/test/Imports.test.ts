import { assert, describe, it } from "@effect/vitest"
import * as Imports from "../src/Imports.ts"

const parse = (source: string) =>
  Imports.parse("file.ts", source).map(({ line, specifier, typeOnly }) => `${line} ${specifier}${typeOnly ? " type" : ""}`)

describe("Imports.parse", () => {
  it.each([
    [`import * as A from "a"`, ["1 a"]],
    [`import a, { b } from "a"`, ["1 a"]],
    [`import "a"`, ["1 a"]],
    [`import type { A } from "a"`, ["1 a type"]],
    [`import { type A } from "a"`, ["1 a type"]],
    [`import { type A, b } from "a"`, ["1 a"]],
    [`export * from "a"`, ["1 a"]],
    [`export * as a from "a"`, ["1 a"]],
    [`export { b } from "a"`, ["1 a"]],
    [`export type { B } from "a"`, ["1 a type"]],
    [`export { type B, c } from "a"`, ["1 a"]],
    [`export const x = 1`, []],
    [`const f = () => import("a")`, ["1 a"]],
    [`type A = import("a").B`, ["1 a type"]],
    [`const a = require("a")`, ["1 a"]],
    [`\n\nimport * as A from "a"\nimport * as B from "b"`, ["3 a", "4 b"]],
    [`// import "a"\n/* import "b" */\nconst text = 'import "c"'`, []],
    ['const f = <A,>(a: A) => a as unknown as `import "x"`', []]
  ])("%s", (source, expected) => {
    assert.deepStrictEqual(parse(source), expected)
  })

  it("says so when a file does not parse", () => {
    assert.throws(() => parse("import {"), Imports.SyntaxProblem)
  })
})
