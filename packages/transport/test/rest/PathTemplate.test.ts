import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as PathTemplate from "../../src/rest/PathTemplate.ts"
import * as Router from "../../src/rest/Router.ts"
import { random, text, type Random } from "../codec/randomMessage.ts"

const parse = (source: string) => Result.getOrThrow(PathTemplate.parse(source))

describe("PathTemplate.parse", () => {
  const good: ReadonlyArray<readonly [source: string, segments: string, variables: string, verb?: string]> = [
    ["/", "''", ""],
    ["/v1/x", "v1 x", ""],
    ["/v1/x/", "v1 x ''", ""],
    ["/v1/*/x/**", "v1 * x **", ""],
    ["/{a}", "{*}", "a:0-1"],
    ["/{a.b_c.D1}", "{*}", "a.b_c.D1:0-1"],
    ["/x/{a=y/*}/z", "x {y} {*} z", "a:1-3+"],
    ["/{a=*}/{b=**}", "{*} {**}", "a:0-1 b:1-2+"],
    ["/{ a = y/* }", "{y} {*}", "a:0-2+"],
    ["/{a=y}", "{y}", "a:0-1"],
    ["/x/{a}:cancel", "x {*}", "a:1-2", "cancel"],
    ["/x:y", "x", "", "y"],
    ["/x:y/z", "x:y z", ""],
    ["/**:go", "**", "", "go"],
    ["/caf%C3%A9", "café", ""]
  ]
  for (const [source, segments, variables, verb] of good) {
    it(`takes ${source}`, () => {
      const template = parse(source)
      const shape = template.segments.map(({ bound, kind, text }) => {
        const inner = kind === "literal" ? text || "''" : kind === "one" ? "*" : "**"
        return bound ? `{${inner}}` : inner
      })
      assert.strictEqual(shape.join(" "), segments)
      assert.strictEqual(template.variables.map((v) => `${v.name}:${v.start}-${v.end}${v.multi ? "+" : ""}`).join(" "), variables)
      assert.strictEqual(template.verb, verb)
    })
  }

  const bad: ReadonlyArray<readonly [source: string, position: number]> = [
    ["", 0],
    ["v1", 0],
    ["//", 1],
    ["/a//b", 3],
    ["/a/:verb", 3],
    ["/a:", 3],
    ["/{", 1],
    ["/{a", 1],
    ["/{}", 2],
    ["/{1a}", 2],
    ["/{a-b}", 2],
    ["/{a.}", 2],
    ["/{id:[0-9]+}", 2],
    ["/{a=}", 4],
    ["/{a=x/}", 6],
    ["/{a=x//y}", 6],
    ["/{a={b}}", 4],
    ["/{a}/{a}", 6],
    ["/{a}x", 4],
    ["/x{a}", 2],
    ["/a*", 2],
    ["/*a", 2],
    ["/***", 3],
    ["/**/x", 1],
    ["/{a=**}/{b}", 4],
    ["/a?b", 2],
    ["/a#b", 2],
    ["/a b", 2],
    ["/a}", 2],
    ["/%zz", 1],
    ["/x/%ff", 3]
  ]
  for (const [source, position] of bad) {
    it(`refuses ${source || "nothing"} at ${position}`, () => {
      const error = Result.getOrThrow(Result.flip(PathTemplate.parse(source)))
      assert.instanceOf(error, PathTemplate.PathTemplateError)
      assert.deepStrictEqual([error.position, error.template], [position, source])
    })
  }
})

describe("PathTemplate.build", () => {
  const build = (source: string, ...values: ReadonlyArray<string>) => PathTemplate.build(parse(source), values)

  it("encodes all but unreserved characters, and keeps the slashes of several segments", () => {
    assert.strictEqual(Result.getOrThrow(build("/v1/{a}", "a b/c?ü!~")), "/v1/a%20b%2Fc%3F%C3%BC%21~")
    assert.strictEqual(Result.getOrThrow(build("/v1/{a=**}", "a b/c:d")), "/v1/a%20b/c%3Ad")
    assert.strictEqual(Result.getOrThrow(build("/v1/{a=x/*}:go", "x/1")), "/v1/x/1:go")
    assert.strictEqual(Result.getOrThrow(build("/v1/{a=**}", "")), "/v1")
    assert.strictEqual(Result.getOrThrow(build("/{a=**}", "")), "/")
  })

  it("refuses values that their variable could not give back", () => {
    for (const [source, ...values] of [
      ["/{a}", ""],
      ["/{a=x}", "y"],
      ["/{a=x/*}", "x"],
      ["/{a=x/*}", "x/"],
      ["/{a=x/*}", "x/1/2"],
      ["/{a=x/*}", "y/1"],
      ["/{a=x/**}", "y"],
      ["/{a}/{b}", "1"],
      ["/*/{a}", "1"],
      ["/{a}/*", "1"]
    ] as ReadonlyArray<readonly [string, ...ReadonlyArray<string>]>) {
      assert.isTrue(Result.isFailure(build(source, ...values)), `${source} ${values.join()}`)
    }
  })
})

describe("a built path", () => {
  // what a variable's pattern may be, with a value that fits it
  const patterns: ReadonlyArray<readonly [pattern: string, value: (random: Random) => string]> = [
    ["", (random) => text(random) || "x"],
    ["=*", (random) => text(random) || "x"],
    ["=books/*", (random) => `books/${segment(random)}`],
    ["=*/of/*", (random) => `${segment(random)}/of/${segment(random)}`]
  ]
  const segment = (random: Random) => text(random).replaceAll("/", "") || "s"
  const rests = ["", "a", "a/b", "/", "a//b/", "ü%2F/%25"]

  it("matches with the same variables", () => {
    let multi = 0
    for (let seed = 0; seed < 2_000; seed++) {
      const generator = random(seed)
      let source = ""
      const values: Array<string> = []
      for (let count = 1 + generator.below(3); count > 0; count--) {
        if (generator.below(2) === 0) source += generator.pick(["/v1", "/a:b", "/%25x", "/ü"])
        const [pattern, value] = generator.pick(patterns)
        source += `/{v${values.length}${pattern}}`
        values.push(value(generator))
      }
      if (generator.below(3) === 0) {
        source += "/{rest=**}"
        values.push(generator.pick(rests))
      }
      if (generator.below(3) === 0) source += ":go"
      const template = parse(source)
      const path = Result.getOrThrow(PathTemplate.build(template, values))
      const match = Router.make([{ method: "GET", template, value: 0 }]).match("GET", path)
      if (match._tag !== "Found") return assert.fail(`seed ${seed}: ${source} does not match ${path}`)
      assert.deepStrictEqual(match.variables, values, `seed ${seed}: ${source} ${path}`)
      if (template.variables.some((variable) => variable.multi)) multi++
    }
    assert.isAbove(multi, 500)
  })
})
