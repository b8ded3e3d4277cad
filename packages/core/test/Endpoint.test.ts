import * as Endpoint from "@effect-kratos/core/Endpoint"
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"

const parsed = (text: string) => Option.getOrUndefined(Endpoint.parse(text))

describe("Endpoint", () => {
  it("parses what format writes", () => {
    for (const [scheme, host, port] of [
      ["http", "127.0.0.1", 80],
      ["https", "a.example", 65535],
      ["grpc", "::1", 9000],
      ["grpcs", "fe80::1%eth0", 1],
      ["grpc", "my_service-1", 9000],
      ["grpc", "bücher.example", 9000]
    ] as const) {
      const endpoint = Endpoint.make(scheme, host, port)
      assert.deepStrictEqual(parsed(Endpoint.format(endpoint)), endpoint)
    }
  })

  it("writes IPv6 hosts in brackets, once", () => {
    assert.strictEqual(Endpoint.format(Endpoint.make("grpc", "::1", 9000)), "grpc://[::1]:9000")
    assert.strictEqual(Endpoint.format(Endpoint.make("grpc", "[::1]", 9000)), "grpc://[::1]:9000")
    assert.strictEqual(Endpoint.authority(Endpoint.make("grpc", "fe80::1%eth0", 1)), "[fe80::1%25eth0]:1")
  })

  it("reads over case, path and query", () => {
    assert.deepStrictEqual(parsed("HTTP://Example.COM:8000/path?isSecure=true"), Endpoint.make("http", "example.com", 8000))
    assert.deepStrictEqual(parsed("grpc://10.0.0.1:9000?isSecure=false"), Endpoint.make("grpc", "10.0.0.1", 9000))
  })

  it("knows the default ports of http and https only", () => {
    assert.strictEqual(parsed("http://a")?.port, 80)
    assert.strictEqual(parsed("https://a/x")?.port, 443)
    assert.isUndefined(parsed("grpc://a"))
  })

  it("refuses what is not an endpoint", () => {
    for (const text of [
      "",
      "http",
      "http://",
      "http:///path",
      "://a:1",
      "ws://a:1",
      "grpc://a:0",
      "grpc://a:65536",
      "grpc://a:1x",
      "grpc://a:-1",
      "grpc://a b:1",
      "grpc://user:pass@a:1",
      "grpc://::1:9000",
      "grpc://[::1:9000",
      "grpc://[12]:9000",
      "grpc://a\n:1",
      " grpc://a:1",
      `grpc://${"a".repeat(2000)}:1`
    ]) {
      assert.isUndefined(parsed(text), JSON.stringify(text))
    }
  })

  it("knows which schemes speak TLS", () => {
    const secure = (["http", "https", "grpc", "grpcs"] as const).map((scheme) => Endpoint.isSecure(Endpoint.make(scheme, "a", 1)))
    assert.deepStrictEqual(secure, [false, true, false, true])
  })

  it("compares all three parts", () => {
    const endpoint = Endpoint.make("grpc", "A", 1)
    assert.isTrue(Endpoint.equals(endpoint, Endpoint.make("grpc", "a", 1)))
    for (const other of [Endpoint.make("grpcs", "a", 1), Endpoint.make("grpc", "b", 1), Endpoint.make("grpc", "a", 2)]) {
      assert.isFalse(Endpoint.equals(endpoint, other))
    }
  })
})
