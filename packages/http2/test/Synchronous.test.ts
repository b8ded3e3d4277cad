/** A duplex may hand its bytes over inside `write`: what either end sends in answer to that must leave too. */
import { EventEmitter } from "node:events"
import type { Duplex } from "node:stream"
import { assert, it } from "vitest"
import { ClientConnection } from "../src/ClientConnection.ts"
import { HeaderBlock } from "../src/HeaderBlock.ts"
import { ServerConnection } from "../src/ServerConnection.ts"
import type { Stream } from "../src/Stream.ts"

/** Two ends of a wire without any delay. */
const pair = (): readonly [Duplex, Duplex] => {
  const make = () => Object.assign(new EventEmitter(), { other: undefined as unknown as EventEmitter })
  const [a, b] = [make(), make()]
  for (const [self, other] of [
    [a, b],
    [b, a]
  ] as const) {
    Object.assign(self, {
      write: (chunk: Uint8Array) => (other.emit("data", Uint8Array.from(chunk)), true),
      end: () => {},
      destroy: () => {},
      pause: () => self,
      resume: () => self,
      cork: () => {},
      uncork: () => {}
    })
  }
  // all that the engine uses of a Duplex
  return [a, b] as unknown as readonly [Duplex, Duplex]
}

it("what is written while the last bytes of a turn are on their way leaves too", async () => {
  const [near, far] = pair()
  const ok = HeaderBlock.make([[":status", "200"]])
  const held: Array<Stream> = []
  ServerConnection.make(far, {
    onStream: (stream) => {
      held.push(stream)
      if (held.length === 2) held[0]!.respond(ok, new Uint8Array(1), undefined)
      return { onData: () => {}, onTrailers: () => {}, onAbort: () => assert.fail("aborted") }
    }
  })
  const client = ClientConnection.make(near, {})
  const call = (onReply: () => void): void => {
    client.request(
      HeaderBlock.make([
        [":method", "GET"],
        [":scheme", "http"],
        [":path", "/"],
        [":authority", "h"]
      ]),
      { onData: (_data, end) => (end ? onReply() : undefined), onTrailers: () => {}, onAbort: () => assert.fail("aborted") }
    )
  }
  await new Promise<void>((resolve) => {
    // the reply to the first makes the server answer the second while it is still writing
    call(() => held[1]!.respond(ok, new Uint8Array(1), undefined))
    call(resolve)
  })
  assert.strictEqual(held.length, 2)
})
