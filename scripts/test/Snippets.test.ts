import { assert, describe, it } from "@effect/vitest"
import * as Snippets from "../src/Snippets.ts"

const document = (...lines: ReadonlyArray<string>) => lines.join("\n")

describe("Snippets.parse", () => {
  it("keeps every block at its line", () => {
    const [snippet, ...rest] = Snippets.parse(document("# Title", "", "```ts", "const a = 1", "```", "tail"))
    assert.deepStrictEqual(snippet, { file: "line-4.ts", run: false, output: undefined, source: "\n\n\nconst a = 1\n" })
    assert.deepStrictEqual(rest, [])
  })

  it("joins the blocks of one file", () => {
    const snippets = Snippets.parse(
      document("```ts file=src/a.ts", "const a = 1", "```", "prose", "```ts file=src/a.ts run", "a.toFixed()", "```")
    )
    assert.deepStrictEqual(snippets, [{ file: "src/a.ts", run: true, output: undefined, source: "\nconst a = 1\n\n\n\na.toFixed()\n" }])
  })

  it("takes the output that follows a program", () => {
    const snippets = Snippets.parse(
      document("```ts run", "console.log(1)", "```", "prints", "```text output", "1", "```", "```text", "no output", "```")
    )
    assert.deepStrictEqual(
      snippets.map(({ output }) => output),
      ["1\n"]
    )
  })

  it("leaves other languages alone, and fences inside of longer fences", () => {
    assert.deepStrictEqual(
      Snippets.parse(document("```sh", "npm start", "```", "````md", "```ts", "not ours", "```", "````", "```json", "{}", "```")),
      []
    )
  })

  it("takes typescript for ts, and unindents blocks of lists", () => {
    const [snippet] = Snippets.parse(document("- item", "  ```typescript", "  if (true) {", "    f()", "  }", "  ```"))
    assert.strictEqual(snippet?.source, "\n\nif (true) {\n  f()\n}\n")
  })

  it.each([
    [document("```ts", "const a = 1"), "line 1: nothing closes this block"],
    [document("", "```ts ignore", "```"), `line 2: "ignore" is neither file=<name>.ts nor run`],
    [document("```ts file=../a.ts", "```"), `line 1: "file=../a.ts" is neither file=<name>.ts nor run`],
    [document("```ts", "```", "```text output", "```"), "line 3: output without a program that runs before it"]
  ])("refuses %j", (text, message) => {
    assert.throws(() => Snippets.parse(text), Snippets.SnippetProblem, message)
  })
})

describe("Snippets.links", () => {
  it("lists relative links without fragments, outside of code", () => {
    const text = document(
      "[a](docs/a.md#part) ![b](b.png) [c](https://example.org) [d](#here) `[e](e.md)`",
      "```md",
      "[f](f.md)",
      "```",
      '[g](../g.md "title")'
    )
    assert.deepStrictEqual(Snippets.links(text), ["docs/a.md", "b.png", "../g.md"])
  })
})
