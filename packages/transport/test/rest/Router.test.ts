import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as PathTemplate from "../../src/rest/PathTemplate.ts"
import * as Router from "../../src/rest/Router.ts"
import { random } from "../codec/randomMessage.ts"

const route = (text: string): Router.Route<string> => {
  const [method = "", source = ""] = text.split(" ")
  return { method, template: Result.getOrThrow(PathTemplate.parse(source)), value: text }
}
const router = (...routes: ReadonlyArray<string>) => Router.make(routes.map(route))
const found = (router: Router.Router<string>, method: string, path: string): string => {
  const match = router.match(method, path)
  return match._tag === "Found" ? match.route.value.split(" ")[1]! : match._tag
}

describe("Router precedence", () => {
  const templates = ["/v1/a/x", "/v1/a/{v}", "/v1/{v}/x", "/v1/{v}/{w}", "/v1/*/y", "/v1/{v=**}", "/**", "/v1/a/{v}:go", "/v1/{v=**}:go"]
  const expected: Readonly<Record<string, string>> = {
    "/v1/a/x": "/v1/a/x",
    "/v1/a/y": "/v1/a/{v}",
    "/v1/b/x": "/v1/{v}/x",
    "/v1/b/y": "/v1/{v}/{w}",
    "/v1/a": "/v1/{v=**}",
    "/v1/a/b/c": "/v1/{v=**}",
    "/v1": "/v1/{v=**}",
    "/v2/a": "/**",
    "/v1/a/y:go": "/v1/a/{v}:go",
    "/v1/a/x:go": "/v1/a/{v}:go",
    "/v1/b/x:go": "/v1/{v=**}:go",
    "/v1/a/y:no": "/v1/a/{v}"
  }

  it("is literal, variable, star, rest", () => {
    for (const [path, template] of Object.entries(expected))
      assert.strictEqual(found(router(...templates.map((t) => `GET ${t}`)), "GET", path), template, path)
  })

  it("prefers a bound wildcard to a bare one", () => {
    for (const routes of [
      ["GET /{v}/y", "GET /*/y"],
      ["GET /*/y", "GET /{v}/y"]
    ])
      assert.strictEqual(found(router(...routes), "GET", "/a/y"), "/{v}/y")
    for (const routes of [
      ["GET /{v=**}", "GET /**"],
      ["GET /**", "GET /{v=**}"]
    ])
      assert.strictEqual(found(router(...routes), "GET", "/a/y"), "/{v=**}")
  })

  it("does not depend on the order of registration", () => {
    for (let seed = 0; seed < 50; seed++) {
      const generator = random(seed)
      const shuffled = templates.map((t) => [generator.below(1_000), t] as const).toSorted(([a], [b]) => a - b)
      const mixed = router(...shuffled.map(([, t]) => `GET ${t}`))
      for (const [path, template] of Object.entries(expected))
        assert.strictEqual(found(mixed, "GET", path), template, `seed ${seed}: ${path}`)
    }
  })

  it("goes back when a better start leads nowhere", () => {
    const routes = router("GET /a/b/c", "GET /a/{v}/d", "GET /{v}/b/e", "GET /{v=**}")
    assert.strictEqual(found(routes, "GET", "/a/b/d"), "/a/{v}/d")
    assert.strictEqual(found(routes, "GET", "/a/b/e"), "/{v}/b/e")
    assert.strictEqual(found(routes, "GET", "/a/b/f"), "/{v=**}")
  })

  it("gives variables of the route that won, not of those tried before", () => {
    const match = router("GET /{a=x/*/y}", "GET /{a=x/**}").match("GET", "/x/1/z")
    assert.deepStrictEqual(match._tag === "Found" && match.variables, ["x/1/z"])
  })

  it("prefers the request's own method to any", () => {
    const routes = router("* /a", "GET /{v}")
    assert.strictEqual(found(routes, "GET", "/a"), "/{v}")
    assert.strictEqual(found(routes, "PUT", "/a"), "/a")
  })

  it("finds literals among many", () => {
    const many = Array.from({ length: 100 }, (_, index) => `GET /n${index}/{v}`)
    for (const index of [0, 7, 50, 99]) assert.strictEqual(found(router(...many), "GET", `/n${index}/x`), `/n${index}/{v}`)
    assert.strictEqual(found(router(...many), "GET", "/n100/x"), "NotFound")
  })
})

describe("Router", () => {
  it("says which routes can never match", () => {
    const routes = router("GET /a/{x}", "GET /a/{y}", "POST /a/{y}", "GET /a/{y}:v", "GET /a/*", "GET /b", "GET /b")
    assert.deepStrictEqual(
      routes.shadowed.map((route) => route.value),
      ["GET /a/{y}", "GET /b"]
    )
    assert.strictEqual(found(routes, "GET", "/a/1"), "/a/{x}")
  })

  it("says which methods a path has", () => {
    const routes = router("GET /a/{x}", "POST /a/{x}", "DELETE /a/b", "* /any", "GET /any")
    assert.deepStrictEqual(routes.allowed("/a/b"), ["DELETE", "GET", "POST"])
    assert.deepStrictEqual(routes.allowed("/a/c"), ["GET", "POST"])
    assert.deepStrictEqual(routes.allowed("/any"), ["*"])
    assert.deepStrictEqual(routes.allowed("/none"), [])
    assert.deepStrictEqual(routes.match("PUT", "/a/b"), { _tag: "MethodNotAllowed", allow: ["DELETE", "GET", "POST"] })
  })

  it("knows nothing without routes", () => {
    assert.deepStrictEqual(router().match("GET", "/"), { _tag: "NotFound" })
    assert.deepStrictEqual(router().match("GET", "/%zz"), { _tag: "BadPath" })
  })

  it("does not look further than 256 segments, except into a rest", () => {
    const path = "/a".repeat(100_000)
    assert.strictEqual(found(router("GET /{v}/{w}"), "GET", path), "NotFound")
    assert.strictEqual(found(router("GET /{v}/{w=**}"), "GET", path), "/{v}/{w=**}")
  })

  it("agrees with a plain search over all templates", () => {
    const words = ["a", "b", "a:go"]
    const pieces = ["a", "b", "{v}", "*"]
    for (let seed = 0; seed < 300; seed++) {
      const generator = random(seed)
      const templates = Array.from({ length: 8 }, () => {
        const middle = Array.from({ length: 1 + generator.below(3) }, (_, index) => generator.pick(pieces).replace("v", `v${index}`)).join(
          "/"
        )
        return `GET /${middle}${generator.pick(["", "", "/{r=**}", ":go"])}`
      })
      const routes = router(...templates)
      for (let count = 0; count < 10; count++) {
        const path = `/${Array.from({ length: 1 + generator.below(4) }, () => generator.pick(words)).join("/")}`
        const matching = templates.map((text) => text.slice(4)).filter((source) => pattern(source).test(path))
        const winner = found(routes, "GET", path)
        if (matching.length === 0) assert.strictEqual(winner, "NotFound", `seed ${seed}: ${path}`)
        else assert.include(matching, winner, `seed ${seed}: ${path} in ${templates.join()}`)
      }
    }
  })
})

/** The paths of a template, as a regular expression: the slow way. */
const pattern = (source: string): RegExp => {
  const [path = "", verb] = source.split(":")
  const segments = path.slice(1).split("/")
  const text = segments.map((segment) =>
    segment.includes("**") ? "(/.*)?" : segment.startsWith("{") || segment === "*" ? "/[^/]+" : `/${segment}`
  )
  return new RegExp(`^${text.join("")}${verb === undefined ? "" : `:${verb}`}$`)
}
