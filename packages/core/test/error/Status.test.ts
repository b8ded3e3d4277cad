import { assert, describe, it } from "@effect/vitest"
import * as Status from "../../src/error/Status.ts"

describe("Status", () => {
  const grpcToHttp: ReadonlyArray<readonly [name: keyof typeof Status.Grpc, number: number, http: number]> = [
    ["OK", 0, 200],
    ["CANCELLED", 1, 499],
    ["UNKNOWN", 2, 500],
    ["INVALID_ARGUMENT", 3, 400],
    ["DEADLINE_EXCEEDED", 4, 504],
    ["NOT_FOUND", 5, 404],
    ["ALREADY_EXISTS", 6, 409],
    ["PERMISSION_DENIED", 7, 403],
    ["RESOURCE_EXHAUSTED", 8, 429],
    ["FAILED_PRECONDITION", 9, 412],
    ["ABORTED", 10, 409],
    ["OUT_OF_RANGE", 11, 400],
    ["UNIMPLEMENTED", 12, 501],
    ["INTERNAL", 13, 500],
    ["UNAVAILABLE", 14, 503],
    ["DATA_LOSS", 15, 500],
    ["UNAUTHENTICATED", 16, 401]
  ]
  it.each(grpcToHttp)("gRPC %s (%d) → HTTP %d", (name, number, http) => {
    assert.strictEqual(Status.Grpc[name], number)
    assert.strictEqual(Status.httpFromGrpc(number), http)
  })

  const httpToGrpc: ReadonlyArray<readonly [number, keyof typeof Status.Grpc]> = [
    [200, "OK"],
    [400, "INVALID_ARGUMENT"],
    [401, "UNAUTHENTICATED"],
    [403, "PERMISSION_DENIED"],
    [404, "NOT_FOUND"],
    [409, "ABORTED"],
    [412, "FAILED_PRECONDITION"],
    [429, "RESOURCE_EXHAUSTED"],
    [499, "CANCELLED"],
    [500, "INTERNAL"],
    [501, "UNIMPLEMENTED"],
    [503, "UNAVAILABLE"],
    [504, "DEADLINE_EXCEEDED"]
  ]
  it.each(httpToGrpc)("HTTP %d → gRPC %s", (http, name) => {
    assert.strictEqual(Status.grpcFromHttp(http), Status.Grpc[name])
  })

  it("sends every other HTTP code as UNKNOWN, and reads every other gRPC code as 500", () => {
    const listed = new Set(httpToGrpc.map(([http]) => http))
    for (let code = 0; code < 1000; code++)
      if (!listed.has(code)) assert.strictEqual(Status.grpcFromHttp(code), Status.Grpc.UNKNOWN, String(code))
    for (const code of [-1, 17, 99, 1.5, Number.NaN, Infinity]) assert.strictEqual(Status.httpFromGrpc(code), 500, String(code))
  })

  it("differs from Kratos v2 in one row only", () => {
    const http = Array.from({ length: 17 }, (_, code) => [Status.httpFromGrpc(code), Status.httpFromGrpc(code, "v2")] as const)
    assert.deepStrictEqual(
      http.flatMap(([v3, v2], code) => (v3 === v2 ? [] : [[code, v3, v2]])),
      [[9, 412, 400]]
    )
    const grpc = Array.from({ length: 600 }, (_, code) => [Status.grpcFromHttp(code), Status.grpcFromHttp(code, "v2")] as const)
    assert.deepStrictEqual(
      grpc.flatMap(([v3, v2], code) => (v3 === v2 ? [] : [[code, v3, v2]])),
      [[412, 9, 2]]
    )
  })

  it("prefers the gRPC code that a status came with, and never lets a failure leave as OK", () => {
    assert.strictEqual(Status.grpcCode({ code: 409, reason: "" }), Status.Grpc.ABORTED)
    assert.strictEqual(Status.grpcCode({ code: 409, reason: "", grpc: Status.Grpc.ALREADY_EXISTS }), Status.Grpc.ALREADY_EXISTS)
    assert.strictEqual(Status.grpcCode({ code: 200, reason: "" }), Status.Grpc.UNKNOWN)
    assert.strictEqual(Status.grpcCode({ code: 500, reason: "", grpc: Status.Grpc.OK }), Status.Grpc.UNKNOWN)
  })

  it("knows which numbers are gRPC codes and which can be an error's code", () => {
    assert.deepStrictEqual(
      [-1, 0, 16, 17, 1.5].map((code) => Status.isGrpcCode(code)),
      [false, true, true, false, false]
    )
    assert.deepStrictEqual(
      [0, 101, 200, 299, 300, 404, 599, 600, 404.5, Number.NaN].map((code) => Status.isErrorCode(code)),
      [false, false, false, false, true, true, true, false, false, false]
    )
  })
})
