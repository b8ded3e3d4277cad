/**
 * `bench.v1.Load` on bare `node:http2`: no framework. Chunks are written and read by hand, in one pass over one buffer, so that nothing but `node:http2`
 * is left of the work; the other messages by the codec that ts-proto generates.
 */
import * as http2 from "node:http2"
import { DownloadRequest, Summary } from "../gen/ts-proto/bench/v1/load.ts"
import { announce } from "./announce.ts"
import { framed } from "./framed.ts"

const head = { ":status": 200, "content-type": "application/grpc" }
const trailers = { "grpc-status": "0" }

/** Bytes in front of the data of a chunk: the framing of gRPC, the field's tag, its length in as few bytes as it takes. */
const prefix = (data: Uint8Array): Buffer => {
  const length: Array<number> = []
  for (let left = data.length; ; left >>>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left)
    if (left <= 127) break
  }
  const bytes = Buffer.from([0, 0, 0, 0, 0, 0x0a, ...length])
  bytes.writeUInt32BE(1 + length.length + data.length, 1)
  return bytes
}

/** Writes `count` chunks, framed, behind each other. */
export const chunks = (data: Uint8Array, count: number): Buffer => {
  const head = prefix(data)
  const size = head.length + data.length
  const bytes = Buffer.allocUnsafe(size * count)
  for (let i = 0; i < count; i++) {
    bytes.set(head, i * size)
    bytes.set(data, i * size + head.length)
  }
  return bytes
}

/** The data of a chunk. */
const dataOf = (message: Buffer): Buffer => {
  let at = 1
  while (message[at]! > 127) at++
  return message.subarray(at + 1)
}

/** Writes `count` chunks to a stream and ends it. */
export type Download = (stream: http2.ServerHttp2Stream, data: Buffer, count: number) => void

/** Waits for the whole message; a client that leaves in the middle of it gets nothing. */
const whole = (stream: http2.ServerHttp2Stream, then: (body: Buffer) => void) => {
  const chunks: Array<Buffer> = []
  stream.on("data", (chunk: Buffer) => chunks.push(chunk))
  stream.on("end", () => {
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
    if (body.length >= 5 && body.length === 5 + body.readUInt32BE(1)) then(body)
    else stream.close()
  })
}

/** Calls back for each message as it comes, and at the end. */
const each = (stream: http2.ServerHttp2Stream, onMessage: (message: Buffer) => void, onEnd: () => void) => {
  let rest: Buffer = Buffer.alloc(0)
  stream.on("data", (part: Buffer) => {
    let data = rest.length === 0 ? part : Buffer.concat([rest, part])
    while (data.length >= 5) {
      const end = 5 + data.readUInt32BE(1)
      if (data.length < end) break
      onMessage(data.subarray(5, end))
      data = data.subarray(end)
    }
    rest = data
  })
  stream.on("end", onEnd)
}

const upload = (stream: http2.ServerHttp2Stream) => {
  let count = 0
  let bytes = 0
  each(
    stream,
    (message) => {
      count++
      bytes += dataOf(message).length
    },
    () => stream.end(framed(Summary.encode({ count, bytes }).finish()))
  )
}

const chat = (stream: http2.ServerHttp2Stream) => {
  let full = false
  stream.on("drain", () => {
    full = false
    stream.resume()
  })
  each(
    stream,
    (message) => {
      if (stream.write(chunks(dataOf(message), 1)) || full) return
      full = true
      stream.pause()
    },
    () => stream.end()
  )
}

/** Serves the methods; `download` is what the two subjects differ in. */
export const serve = (download: Download): void => {
  const server = http2.createServer()
  server.on("stream", (stream, headers) => {
    stream.on("error", () => stream.close())
    stream.respond(head, { waitForTrailers: true })
    stream.on("wantTrailers", () => stream.sendTrailers(trailers))
    if (headers[":path"] === "/bench.v1.Load/Download") {
      whole(stream, (body) => {
        const { bytes, count } = DownloadRequest.decode(body.subarray(5))
        download(stream, Buffer.alloc(bytes), count)
      })
    } else if (headers[":path"] === "/bench.v1.Load/Upload") {
      upload(stream)
    } else if (headers[":path"] === "/bench.v1.Load/Chat") {
      chat(stream)
    } else {
      whole(stream, (body) => stream.end(chunks(dataOf(body.subarray(5)), 1)))
    }
  })
  server.listen(0, "127.0.0.1", () => announce(server.address()))
}
