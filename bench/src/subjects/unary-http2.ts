/** The floor of `node:http2`: no framework, one handler on the stream event, the codec that ts-proto generates. */
import * as http2 from "node:http2"
import { HelloReply, HelloRequest } from "../gen/ts-proto/helloworld/v1/greeter.ts"
import { announce } from "./announce.ts"
import { tls } from "./tls.ts"

const reply = { ":status": 200, "content-type": "application/grpc" }
const trailers = { "grpc-status": "0" }

const answer = (stream: http2.ServerHttp2Stream, body: Buffer) => {
  const message = HelloReply.encode({ message: `Hello ${HelloRequest.decode(body.subarray(5)).name}` }).finish()
  const frame = Buffer.allocUnsafe(5 + message.length)
  frame[0] = 0
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, 5)
  stream.respond(reply, { waitForTrailers: true })
  stream.on("wantTrailers", () => stream.sendTrailers(trailers))
  stream.end(frame)
}

const server = tls === undefined ? http2.createServer() : http2.createSecureServer(tls)
server.on("stream", (stream, headers) => {
  if (headers[":path"] !== "/helloworld.v1.Greeter/SayHello") {
    stream.respond({ ...reply, "grpc-status": "12" }, { endStream: true })
    return
  }
  const chunks: Array<Buffer> = []
  stream.on("error", () => stream.close())
  stream.on("data", (chunk: Buffer) => chunks.push(chunk))
  stream.on("end", () => answer(stream, chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
})
server.listen(0, "127.0.0.1", () => announce(server.address()))
