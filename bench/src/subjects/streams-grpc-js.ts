/** @grpc/grpc-js: streams written as its guide shows it, waiting for `drain` when a write asks for it. */
import * as grpc from "@grpc/grpc-js"
import { announce } from "./announce.ts"
import { load } from "./grpc-definition.ts"

interface Chunk {
  readonly data: Buffer
}

const download: grpc.handleServerStreamingCall<{ count: number; bytes: number }, Chunk> = (call) => {
  const chunk = { data: Buffer.alloc(call.request.bytes) }
  let sent = 0
  const send = () => {
    while (sent < call.request.count) {
      sent++
      if (!call.write(chunk)) {
        call.once("drain", send)
        return
      }
    }
    call.end()
  }
  send()
}

const upload: grpc.handleClientStreamingCall<Chunk, { count: number; bytes: number }> = (call, callback) => {
  let count = 0
  let bytes = 0
  call.on("data", ({ data }: Chunk) => {
    count++
    bytes += data.length
  })
  call.on("end", () => callback(null, { count, bytes }))
}

const chat: grpc.handleBidiStreamingCall<Chunk, Chunk> = (call) => {
  call.on("data", (chunk: Chunk) => {
    if (!call.write(chunk)) call.pause()
  })
  call.on("drain", () => call.resume())
  call.on("end", () => call.end())
}

const echo: grpc.handleUnaryCall<Chunk, Chunk> = (call, callback) => callback(null, call.request)

const server = new grpc.Server()
server.addService(load("bench/v1/load.proto", "bench.v1.Load"), { download, upload, chat, echo })
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error
  announce(port)
})
