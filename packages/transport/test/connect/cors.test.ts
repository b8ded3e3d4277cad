/** Pages of other origins: preflights on every path, marks on every reply. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { serve } from "../Harness.ts"
import { ask, envelope, versions } from "./Ask.ts"

const page = "https://app.example.org"
const json = { "content-type": "application/json" }
const preflight = (origin: string, headers: string) => ({
  origin,
  "access-control-request-method": "POST",
  "access-control-request-headers": headers
})
const routes = HttpRouter.add("GET", "/own", HttpServerResponse.text("own"))

/** One path of each kind. */
const paths = ["/test.v1.Echo/Unary", "/test/v1/echo", "/own", "/nowhere"]

for (const version of versions) {
  describe(`CORS over ${version}`, () => {
    it.effect("preflights are answered on every path", () =>
      Effect.gen(function* () {
        const server = yield* serve({ cors: { origins: [page], headers: ["X-Own"], credentials: true, maxAge: "1 hour" }, routes })
        for (const path of paths) {
          const fields = preflight(
            page,
            "Content-Type, connect-protocol-version,x-grpc-web, x-own, x-md-global-user, x-other, grpc-timeout"
          )
          const answer = yield* ask(server, version, { method: "OPTIONS", path, fields })
          assert.strictEqual(answer.status, 204)
          assert.strictEqual(answer.fields["access-control-allow-origin"], page)
          assert.strictEqual(answer.fields["access-control-allow-credentials"], "true")
          assert.strictEqual(
            answer.fields["access-control-allow-headers"],
            "content-type, connect-protocol-version, x-grpc-web, x-own, x-md-global-user, grpc-timeout"
          )
          assert.match(answer.fields["access-control-allow-methods"] ?? "", /\bPOST\b/)
          assert.strictEqual(answer.fields["access-control-max-age"], "3600")
          assert.strictEqual(answer.fields["vary"], "origin")
          const other = yield* ask(server, version, { method: "OPTIONS", path, fields: preflight("https://evil.example.org", "x-own") })
          assert.strictEqual(other.fields["access-control-allow-origin"], undefined)
          assert.strictEqual(other.fields["access-control-allow-headers"], undefined)
        }
      })
    )

    it.effect("every reply is marked, errors and streams too", () =>
      Effect.gen(function* () {
        const server = yield* serve({ cors: { origins: [page], exposedHeaders: ["x-own"] }, routes })
        const requests = [
          { path: "/test.v1.Echo/Unary", fields: json, body: ["{}"] },
          { path: "/test.v1.Echo/Unary", fields: json, body: ["{"] },
          { path: "/test.v1.Echo/Unary", fields: {} },
          { path: "/test.v1.Echo/ServerStream", fields: { "content-type": "application/connect+json" }, body: [envelope('{"count":2}')] },
          { path: "/test.v1.Echo/Unary", fields: { "content-type": "application/grpc-web" }, body: [envelope("")] },
          { path: "/test/v1/echo", fields: json, body: ["{}"] },
          { path: "/nowhere", fields: json },
          { method: "GET", path: "/own", fields: {} },
          { method: "OPTIONS", path: "/test/v1/echo", fields: {} }
        ]
        for (const request of requests) {
          const answer = yield* ask(server, version, { ...request, fields: { ...request.fields, origin: page } })
          assert.strictEqual(answer.fields["access-control-allow-origin"], page, request.path)
          assert.match(answer.fields["access-control-expose-headers"] ?? "", /grpc-status.*x-own/, request.path)
          assert.strictEqual(answer.fields["access-control-allow-credentials"], undefined)
          const own = yield* ask(server, version, request)
          assert.strictEqual(own.status, answer.status)
          assert.strictEqual(own.fields["access-control-allow-origin"], undefined)
          // a cache must not give this reply to the page
          assert.strictEqual(own.fields["vary"], "origin", request.path)
        }
      })
    )

    it.effect("the star is never with credentials", () =>
      Effect.gen(function* () {
        const server = yield* serve({ cors: { origins: "*", credentials: true } })
        const answer = yield* ask(server, version, { path: "/test.v1.Echo/Unary", fields: { ...json, origin: page }, body: ["{}"] })
        assert.strictEqual(answer.fields["access-control-allow-origin"], "*")
        assert.strictEqual(answer.fields["access-control-allow-credentials"], undefined)
      })
    )

    it.effect("without the option nothing is marked", () =>
      Effect.gen(function* () {
        const server = yield* serve()
        const answer = yield* ask(server, version, { path: "/test.v1.Echo/Unary", fields: { ...json, origin: page }, body: ["{}"] })
        assert.deepStrictEqual(
          Object.keys(answer.fields).filter((name) => name.startsWith("access-control") || name === "vary"),
          []
        )
      })
    )
  })
}
