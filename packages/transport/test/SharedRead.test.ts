import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import * as net from "node:net"
import * as SharedRead from "../src/SharedRead.ts"

/** A pair of connected sockets, the second as a server accepts it. */
const pair = async (server: net.Server): Promise<readonly [net.Socket, net.Socket]> => {
  const client = net.connect({ port: (server.address() as net.AddressInfo).port, host: "127.0.0.1" }) // it listens on a port
  const [accepted] = (await once(server, "connection")) as [net.Socket]
  return [client, accepted]
}

const listening = async (): Promise<net.Server> => {
  const server = net.createServer()
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return server
}

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

/** Everything that a socket emits, copied as it comes; `buffers` are the memories it came in. */
const reader = (socket: net.Socket) => {
  const parts: Array<Buffer> = []
  const buffers = new Set<ArrayBufferLike>()
  socket.on("data", (chunk: Uint8Array) => {
    parts.push(Buffer.from(chunk))
    buffers.add(chunk.buffer)
  })
  return { buffers, text: () => Buffer.concat(parts).toString("latin1"), length: () => parts.reduce((sum, { length }) => sum + length, 0) }
}

describe("reads of sockets into one buffer", () => {
  it("are what this Node offers, for accepted sockets and for those that connect", async () => {
    const server = await listening()
    const [client, accepted] = await pair(server)
    assert.isTrue(SharedRead.enable(accepted))
    assert.isTrue(SharedRead.enable(client))
    client.destroy()
    server.close()
    await once(server, "close")
    assert.isFalse(SharedRead.enable(client), "a socket that is closed has nothing to read from")
  })

  it("bring the bytes of many sockets apart and in order, in one memory", async () => {
    const server = await listening()
    const pairs = []
    for (let i = 0; i < 8; i++) pairs.push(await pair(server))
    const readers = pairs.map(([, accepted]) => {
      const read = reader(accepted)
      accepted.resume()
      SharedRead.enable(accepted)
      return read
    })
    const ended = pairs.map(([, accepted]) => once(accepted, "end"))
    const expected = pairs.map((_, i) => Array.from({ length: 40 }, (_, k) => `${i}:${k};`.repeat(1 + ((i * 7 + k * 131) % 900))))
    for (let k = 0; k < 40; k++) for (const [i, [client]] of pairs.entries()) client.write(expected[i]![k]!, "latin1")
    for (const [client] of pairs) client.end()
    await Promise.all(ended)
    for (const [i, { text }] of readers.entries()) assert.strictEqual(text(), expected[i]!.join(""))
    const memories = new Set<ArrayBufferLike>()
    for (const { buffers } of readers) for (const buffer of buffers) memories.add(buffer)
    assert.strictEqual(memories.size, 1)
    for (const [client, accepted] of pairs) {
      client.destroy()
      accepted.destroy()
    }
    server.close()
  })

  it("are given up for a reader that knows nothing of them, which can stop, go on, read and keep as it likes", async () => {
    const server = await listening()
    const [[client, accepted], [other, noise]] = [await pair(server), await pair(server)]
    const read = reader(accepted)
    SharedRead.enable(accepted)
    reader(noise)
    SharedRead.enable(noise)
    client.write("first")
    await until(() => read.text() === "first")
    accepted.removeAllListeners("data")
    SharedRead.disable(accepted)
    accepted.pause()
    assert.deepStrictEqual(
      Object.getOwnPropertySymbols(accepted).flatMap((symbol) =>
        symbol.description === "kBuffer" ? [(accepted as unknown as Record<symbol, unknown>)[symbol]] : []
      ),
      [null],
      "to Node it is a socket like any other"
    )

    const sent = Buffer.alloc(4_000_000, "abcdefghijk")
    client.end(sent)
    // the memory is that of others, too
    const fill = (): void => void other.write("#".repeat(60_000))
    fill()
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    assert.isBelow(accepted.readableLength, 200_000, "nothing is read that nobody wants")
    const kept: Array<Buffer> = []
    const ended = once(accepted, "end")
    accepted.on("readable", () => {
      for (let part: Buffer | null; (part = accepted.read() as Buffer | null) !== null; fill()) kept.push(part)
    })
    await ended
    assert.isTrue(Buffer.concat(kept).equals(sent))
    for (const socket of [client, accepted, other, noise]) socket.destroy()
    server.close()
  })

  it("still tell of a connection that breaks", async () => {
    const server = await listening()
    const [client, accepted] = await pair(server)
    reader(accepted)
    SharedRead.enable(accepted)
    const failed = new Promise<NodeJS.ErrnoException>((resolve) => accepted.once("error", resolve))
    const closed = new Promise<void>((resolve) => accepted.once("close", () => resolve()))
    client.resetAndDestroy()
    assert.strictEqual((await failed).code, "ECONNRESET")
    await closed
    server.close()
  })
})
