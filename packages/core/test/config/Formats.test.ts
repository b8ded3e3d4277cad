import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ConfigFormat from "../../src/config/ConfigFormat.ts"
import * as Tree from "../../src/config/ConfigTree.ts"
import * as Placeholders from "../../src/config/Placeholders.ts"

const decode = (format: string, value: string, key = "app", secret = false) =>
  ConfigFormat.decode("test", { key, value, format, secret }, ConfigFormat.defaults, 1000)

const expected = { server: { port: 8000, tls: true, name: "a b" }, hosts: ["x", "y"] }

describe("formats", () => {
  const documents = {
    json: '{"server":{"port":8000,"tls":true,"name":"a b"},"hosts":["x","y"]}',
    yaml: "server:\n  port: 8000\n  tls: true\n  name: a b\nhosts: [x, y]\n",
    yml: "hosts:\n- x\n- y\nserver: {port: 8000, tls: true, name: 'a b'}\n",
    toml: 'hosts = ["x", "y"]\n[server]\nport = 8000\ntls = true\nname = "a b"\n'
  }
  for (const [format, text] of Object.entries(documents)) {
    it.effect(`${format} keeps types`, () => Effect.map(decode(format, text), (tree) => expect(tree).toEqual(expected)))
  }
  it.effect("ini has sections and text", () =>
    Effect.map(decode("ini", "; c\ntop=1\n[server]\nport=8000\ntls=true\n[server.http]\naddr=:80\n"), (tree) =>
      expect(tree).toEqual({ top: "1", server: { port: "8000", tls: true, http: { addr: ":80" } } })
    )
  )
  it.effect("properties nest dotted keys, continue lines, decode escapes", () =>
    Effect.map(
      decode("properties", "# c\nserver.port = 8000\nserver.name : a \\\n  b\n! c\npath=\\u0041\\tx\nempty=\nspaced value\n"),
      (tree) => expect(tree).toEqual({ server: { port: "8000", name: "a b" }, path: "A\tx", empty: "", spaced: "value" })
    )
  )
  it.effect("env keeps names whole", () =>
    Effect.map(decode("env", `# c\nexport A=1 # c\nB='x # y'\nC="a\\nb"\nD_E=\nF=#c\nG=a#b\n`), (tree) =>
      expect(tree).toEqual({ A: "1", B: "x # y", C: "a\nb", D_E: "", F: "", G: "a#b" })
    )
  )
  it.effect("xml: elements are keys, repeated ones lists", () =>
    Effect.map(
      decode(
        "xml",
        `<?xml version="1.0"?><config><server port="8000"><name>a &amp; b</name></server><host>x</host><host>y</host></config>`
      ),
      (tree) => expect(tree).toEqual({ server: { port: "8000", name: "a & b" }, host: ["x", "y"] })
    )
  )
  it.effect("without a format the key is a path", () =>
    Effect.map(decode("", "8000", "server.port"), (tree) => expect(tree).toEqual({ server: { port: "8000" } }))
  )
  for (const format of Object.keys(ConfigFormat.defaults)) {
    it.effect(`${format}: an empty document is the empty tree`, () => Effect.map(decode(format, " \n"), (tree) => expect(tree).toEqual({})))
  }
  const bad: ReadonlyArray<readonly [format: string, text: string, message: RegExp]> = [
    ["json", "{", /config: test, app: /],
    ["yaml", "a: [", /config: test, app: /],
    ["toml", "a = ", /config: test, app: /],
    ["xml", "<a><b></a>", /config: test, app: /],
    ["xml", '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', /config: test, app: /],
    ["json", "[1]", /no record at its top level/],
    ["proto", "x", /the format "proto" is not known; there are json, yaml/],
    ["json", `{"a":"${"x".repeat(1000)}"}`, /1000 are allowed/],
    ["json", "[".repeat(70) + "]".repeat(70), /deeper than 64/]
  ]
  for (const [format, text, message] of bad) {
    it.effect(`refuses ${format} ${text.slice(0, 20)}`, () =>
      Effect.map(Effect.flip(decode(format, text)), (error) => expect(error.message).toMatch(message))
    )
  }
  it.effect("an error about a secret document quotes nothing of it", () =>
    Effect.map(Effect.flip(decode("json", '{"password": hunter2}', "app", true)), (error) => expect(error.message).not.toMatch(/hunter/))
  )
  it.effect("keys of prototypes are ordinary keys", () =>
    Effect.map(decode("json", '{"__proto__":{"polluted":true},"constructor":1}'), (tree) => {
      const merged = Tree.merge({ a: 1 }, tree)
      expect(Reflect.get({}, "polluted")).toBeUndefined()
      expect(Object.keys(merged)).toEqual(["a", "__proto__", "constructor"])
      expect(Tree.get(merged, ["toString"])).toBeUndefined()
    })
  )
})

describe("merge", () => {
  it("goes into records and replaces everything else", () => {
    expect(Tree.merge({ a: { b: 1, c: [1, 2], d: { e: 1 } }, f: 1 }, { a: { c: [3], d: null, g: 2 }, f: { h: 1 } })).toEqual({
      a: { b: 1, c: [3], d: null, g: 2 },
      f: { h: 1 }
    })
  })
  it("changes neither of its arguments", () => {
    const earlier = { a: { b: 1 } }
    Tree.merge(earlier, { a: { b: 2 } })
    expect(earlier).toEqual({ a: { b: 1 } })
  })
})

describe("placeholders", () => {
  const tree = {
    a: "x",
    n: 5,
    b: true,
    e: "",
    o: { p: "q" },
    l: [1],
    chain: "${o.p}",
    loop: "${loop}",
    f: "1.5",
    q: '"7"',
    big: "9007199254740993"
  }
  const cases: ReadonlyArray<readonly [text: string, resolved: unknown, actual: unknown]> = [
    ["${a}", "x", "x"],
    ["<${a}-${o.p}>", "<x-q>", "x"],
    ["${ a }", "x", "x"],
    ["${n}", "5", 5],
    ["${b}", "true", true],
    ["${e:d}", "", ""],
    ["${missing}", "", ""],
    ["${missing:http://h:80/}", "http://h:80/", "http://h:80/"],
    ["${o}", "", ""],
    ["${l}", "", ""],
    ["${chain}", "q", "q"],
    ["${loop}", "${loop}", "${loop}"],
    ["${a${n}}", "}", ""],
    ["$a", "$a", "$a"],
    ["${f}", "1.5", 1.5],
    ["${q}", '"7"', "7"],
    ["${missing:42}", "42", 42],
    ["${big}", "9007199254740993", "9007199254740993"]
  ]
  for (const [text, resolved, actual] of cases) {
    it(text, () => {
      expect(Placeholders.resolve({ ...tree, x: text })["x"]).toEqual(resolved)
      expect(Placeholders.resolve({ ...tree, x: text }, { actualTypes: true })["x"]).toEqual(actual)
    })
  }
  it("reach into lists, but not into lists in lists", () => {
    expect(Placeholders.resolve({ a: "x", l: ["${a}", { m: "${a}" }, ["${a}"]] })).toEqual({ a: "x", l: ["x", { m: "x" }, ["${a}"]] })
  })
})
