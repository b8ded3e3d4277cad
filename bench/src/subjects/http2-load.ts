/** `bench.v1.Load` on bare `node:http2`: no framework, the codec that ts-proto generates. */
import * as http2 from "node:http2"
import { Chunk, DownloadRequest, Summary } from "../gen/ts-proto/bench/v1/load.ts"
import { announce } from "./announce.ts"
import { framed } from "./framed.ts"

const head = { ":status": 200, "content-type": "application/grpc" }
const trailers = { "grpc-status": "0" }

/** Writes `count` chunks to a stream and ends it. */
export type Download = (stream: http2.ServerHttp2Stream, chunk: Chunk, count: number) => void

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

const upload = (stream: http2.ServerHttp2Stream) => {
  let rest: Buffer = Buffer.alloc(0)
  let count = 0
  let bytes = 0
  stream.on("data", (part: Buffer) => {
    let data = rest.length === 0 ? part : Buffer.concat([rest, part])
    while (data.length >= 5) {
      const end = 5 + data.readUInt32BE(1)
      if (data.length < end) break
      count++
      bytes += Chunk.decode(data.subarray(5, end)).data.length
      data = data.subarray(end)
    }
    rest = data
  })
  stream.on("end", () => stream.end(framed(Summary.encode({ count, bytes }).finish())))
}

/** Serves the three methods; `download` is what the two subjects differ in. */
export const serve = (download: Download): void => {
  const server = http2.createServer()
  server.on("stream", (stream, headers) => {
    stream.on("error", () => stream.close())
    stream.respond(head, { waitForTrailers: true })
    stream.on("wantTrailers", () => stream.sendTrailers(trailers))
    if (headers[":path"] === "/bench.v1.Load/Download") {
      whole(stream, (body) => {
        const { bytes, count } = DownloadRequest.decode(body.subarray(5))
        download(stream, { data: Buffer.alloc(bytes) }, count)
      })
    } else if (headers[":path"] === "/bench.v1.Load/Upload") {
      upload(stream)
    } else {
      whole(stream, (body) => stream.end(framed(Chunk.encode(Chunk.decode(body.subarray(5))).finish())))
    }
  })
  server.listen(0, "127.0.0.1", () => announce(server.address()))
}
