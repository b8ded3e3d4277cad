import { assert, describe, it } from "@effect/vitest"
import { chunkFrame, frame, REPLY } from "../src/Check.ts"
import { Order } from "../src/gen/ts-proto/bench/v1/load.ts"
import { order } from "../src/order.ts"

describe("Check", () => {
  it("frames the request for kratos as gRPC does", () => {
    assert.deepStrictEqual([...frame()], [0, 0, 0, 0, 8, 0x0a, 6, ...new TextEncoder().encode("kratos")])
  })

  it("knows how long replies and chunks are on the wire", () => {
    assert.strictEqual(REPLY, 5 + 2 + "Hello kratos".length)
    assert.strictEqual(chunkFrame(1024).length, 5 + 3 + 1024)
  })

  it("gives the codecs a message of 400 bytes, as the target says", () => {
    assert.strictEqual(Order.encode(order).finish().length, 400)
  })
})
