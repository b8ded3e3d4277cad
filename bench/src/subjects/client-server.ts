/**
 * What the clients are measured against: the engine with an answer made beforehand, which is faster than any of them. Clients of the same machine are
 * let in with as many calls in flight as they like.
 */
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import { ServerConnection } from "@effect-kratos/http2/ServerConnection"
import type { Stream, StreamListener } from "@effect-kratos/http2/Stream"
import * as net from "node:net"
import { HelloReply } from "../gen/ts-proto/helloworld/v1/greeter.ts"
import { announce } from "./announce.ts"
import { framed } from "./framed.ts"

const reply = framed(HelloReply.encode({ message: "Hello kratos" }).finish())
const head = HeaderBlock.make([
  [":status", "200"],
  ["content-type", "application/grpc"]
])
const trailers = HeaderBlock.make([["grpc-status", "0"]])

class Answer implements StreamListener {
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

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => socket.destroy())
  ServerConnection.make(socket, { recycle: true, maxConcurrentStreams: 10_000, onStream: (stream) => new Answer(stream) })
})
server.listen(0, "127.0.0.1", () => announce(server.address()))
