import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import * as http2 from "node:http2"
import type { AddressInfo } from "node:net"
import * as Blocks from "../../src/replay/Blocks.ts"
import { Connection } from "../../src/replay/Connection.ts"

const path = "/helloworld.v1.Greeter/SayHello"

/** What a server of `node:http2` reads of `calls` calls sent on one connection. */
const seen = async (varied: boolean, calls: number): Promise<ReadonlyArray<http2.IncomingHttpHeaders>> => {
  const headers: Array<http2.IncomingHttpHeaders> = []
  const server = http2.createServer()
  server.on("stream", (stream, received) => {
    headers.push(received)
    stream.resume()
    stream.on("end", () => stream.respond({ ":status": 200 }, { endStream: true }))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const blocks = await Blocks.record(path, varied)
  await new Promise<void>((resolve, reject) => {
    let call = 0
    const connection = new Connection({
      port: (server.address() as AddressInfo).port, // it listens on a port
      blocks,
      body: new Uint8Array(15),
      streams: 10,
      nextCall: () => call++,
      onReading: () => undefined,
      onAnswer: () => undefined,
      onRead: (self) => {
        if (self.answered === calls) {
          self.close()
          resolve()
        } else {
          self.send(Math.min(self.free, calls - self.opened))
        }
      },
      onFailure: (why) => reject(new Error(why))
    })
    connection.send(1)
  })
  server.close()
  return headers
}

const names = ["x-request-id", "traceparent", "x-b3-spanid", "user-agent", "x-sent-at", "authorization", "x-session", "x-idempotency-key"]

describe("Blocks", () => {
  it("replays laps whose calls all differ in eight headers, as node:http2 reads them", async () => {
    const calls = 2 * Blocks.LAP + 50
    const headers = await seen(true, calls)
    assert.strictEqual(headers.length, calls)
    for (const [header, name] of names.entries()) {
      assert.strictEqual(new Set(headers.map((one) => one[name])).size, calls, name)
      for (const [call, one] of headers.entries()) assert.include(String(one[name]), Blocks.symbols(Blocks.number(call, header)))
    }
    for (const one of headers) {
      assert.deepStrictEqual([one[":method"], one[":path"], one["content-type"], one.te], ["POST", path, "application/grpc", "trailers"])
    }
  })

  it("replays plain calls that are all alike", async () => {
    const headers = await seen(false, Blocks.LAP + 1)
    assert.strictEqual(headers.length, Blocks.LAP + 1)
    assert.strictEqual(new Set(headers.map((one) => JSON.stringify(one))).size, 1)
  })

  it("does not repeat a number, nor give neighbours the same", () => {
    const numbers = Array.from({ length: 10_000 }, (_, call) => Blocks.number(call, 3))
    assert.strictEqual(new Set(numbers).size, 10_000)
    assert.isTrue(numbers.every((number) => Number.isInteger(number) && number >= 0 && number < 100_000_000))
    assert.isTrue(Number.isSafeInteger(99_999_999 * 61_803_399 + 8 * 12_345_678))
  })
})
