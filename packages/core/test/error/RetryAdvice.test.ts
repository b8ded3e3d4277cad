import { assert, describe, it } from "@effect/vitest"
import * as KratosError from "../../src/error/KratosError.ts"
import * as RetryAdvice from "../../src/error/RetryAdvice.ts"
import * as Metadata from "../../src/Metadata.ts"

const none = Metadata.empty
const trailers = (value: string | ReadonlyArray<string>) => Metadata.fromRecord({ "grpc-retry-pushback-ms": value })
const after = (value: string) => RetryAdvice.of(Metadata.fromRecord({ "retry-after": value }), none, undefined, 1_000_000)
const info = (...bytes: ReadonlyArray<number>) =>
  RetryAdvice.of(
    none,
    none,
    KratosError.serviceUnavailable("", "", { details: [{ type: "google.rpc.RetryInfo", value: Uint8Array.from(bytes) }] }),
    0
  )

describe("RetryAdvice", () => {
  it("reads gRPC's push-back; what cannot be read means never", () => {
    assert.strictEqual(RetryAdvice.of(none, trailers("0"), undefined, 0), 0)
    assert.strictEqual(RetryAdvice.of(none, trailers("250"), undefined, 0), 250)
    assert.strictEqual(RetryAdvice.of(trailers("250"), none, undefined, 0), 250)
    for (const text of ["-1", "", "soon", "1.5", "99999999999"])
      assert.strictEqual(RetryAdvice.of(none, trailers(text), undefined, 0), "never")
    assert.strictEqual(RetryAdvice.of(none, trailers(["1", "2"]), undefined, 0), "never")
    assert.isUndefined(RetryAdvice.of(none, none, KratosError.serviceUnavailable("", ""), 0))
  })

  it("reads HTTP's, in seconds or as a date", () => {
    assert.strictEqual(after("3"), 3000)
    assert.strictEqual(after(new Date(1_005_000).toUTCString()), 5000)
    assert.strictEqual(after(new Date(5000).toUTCString()), 0)
    assert.isUndefined(after("in a while"))
  })

  it("reads google.rpc.RetryInfo", () => {
    // retry_delay { seconds: 2 nanos: 500000000 }
    assert.strictEqual(info(10, 8, 8, 2, 16, 0x80, 0xca, 0xb5, 0xee, 1), 2500)
    assert.strictEqual(info(10, 2, 8, 1), 1000)
    assert.strictEqual(info(10, 0), 0)
    assert.isUndefined(info())
    for (const broken of [[10], [10, 8, 8], [10, 2, 8, 0x80], [13, 1, 2, 3, 4]]) assert.isUndefined(info(...broken))
  })

  it("a failure stays final in the errors that are made of it, and says so to the caller", () => {
    const error = RetryAdvice.markFinal(KratosError.serviceUnavailable("DOWN", ""))
    assert.isTrue(RetryAdvice.isFinal(error))
    assert.isTrue(RetryAdvice.isFinal(KratosError.internalServer("OTHER", "", { cause: error })))
    assert.isFalse(RetryAdvice.isFinal(KratosError.serviceUnavailable("DOWN", "")))
    const cycle = new Error("a", {}) as Error & { cause?: unknown }
    cycle.cause = cycle
    assert.isFalse(RetryAdvice.isFinal(cycle))
    const reply = Metadata.make()
    RetryAdvice.send(reply)
    const heard = RetryAdvice.received(KratosError.serviceUnavailable("", ""), none, reply)
    assert.strictEqual(RetryAdvice.of(none, none, heard, 0), "never")
    assert.isFalse(RetryAdvice.isFinal(RetryAdvice.received(KratosError.serviceUnavailable("", ""), none, trailers("5"))))
  })
})
