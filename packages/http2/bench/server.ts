/** A server with a static gRPC-like answer: `node bench/server.ts [engine|node] [port]`. Load it with h2load, see the README. */
import * as http2 from "node:http2"
import * as net from "node:net"
import { HeaderBlock } from "../src/HeaderBlock.ts"
import { ServerConnection } from "../src/ServerConnection.ts"
import type { Stream, StreamListener } from "../src/Stream.ts"

const [kind = "engine", port = "50051"] = process.argv.slice(2)

/** `HelloReply { message: "Hello world" }` behind the five bytes of gRPC framing. */
const reply = Buffer.from("\0\0\0\0\x0d\x0a\x0bHello world", "latin1")
const head = HeaderBlock.make([
  [":status", "200"],
  ["content-type", "application/grpc"]
])
const trailers = HeaderBlock.make([["grpc-status", "0"]])

class Unary implements StreamListener {
  private readonly stream: Stream
  constructor(stream: Stream) {
    this.stream = stream
  }
  onData(data: Uint8Array, endStream: boolean): void {
    this.stream.consumed(data.length)
    if (endStream) this.stream.respond(head, reply, trailers)
  }
  onTrailers(): void {}
  onAbort(): void {}
}

const engine = (): net.Server =>
  net.createServer({ noDelay: true }, (socket) => {
    ServerConnection.make(socket, {
      onStream: (stream, _headers, endStream) => {
        if (endStream) stream.respond(head, reply, trailers)
        return new Unary(stream)
      }
    })
  })

const node = (): net.Server => {
  const server = http2.createServer()
  server.on("stream", (stream) => {
    stream.on("data", () => {})
    stream.on("error", () => {})
    stream.on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true })
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }))
      stream.end(reply)
    })
  })
  return server
}

;(kind === "node" ? node() : engine()).listen(Number(port), "127.0.0.1", () => process.stdout.write("ready\n"))
