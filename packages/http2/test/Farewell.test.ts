import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "../src/ErrorCode.ts"
import * as F from "./support/Frames.ts"
import { Wire } from "./support/Wire.ts"

describe("the end of a connection", () => {
  it("drops input while the last frames are on their way, but not without end", () => {
    const wire = Wire.server()
    wire.open()
    wire.connection.close(ErrorCode.NO_ERROR)
    assert.isTrue(wire.duplex.ended)
    wire.send(F.headers(1, F.GET, F.END))
    assert.strictEqual(wire.exchanges.length, 0)
    for (let i = 0; i < 4; i++) wire.send(new Uint8Array(1 << 20))
    assert.isTrue(wire.duplex.destroyed)
    assert.deepStrictEqual(wire.closes, [undefined])
  })

  it("destroys at once without linger", () => {
    const wire = Wire.server({ linger: 0 })
    wire.open()
    wire.send(F.frame(6, 0, 0, []))
    assert.deepStrictEqual(F.show(wire.frames()), [`GOAWAY 0 0 ${ErrorCode.FRAME_SIZE_ERROR}`])
    assert.isTrue(wire.duplex.destroyed)
    assert.strictEqual(wire.closes[0]?.message, "FRAME_SIZE_ERROR: PING of a wrong size")
  })

  it("does not wait for the peer when a client is done", () => {
    const wire = Wire.client()
    wire.openServer()
    wire.connection.shutdown()
    assert.isTrue(wire.duplex.destroyed)
  })
})
