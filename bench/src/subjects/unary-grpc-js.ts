/** @grpc/grpc-js as its guide shows it: the proto loaded at start by proto-loader, a callback handler. */
import * as grpc from "@grpc/grpc-js"
import { loadSync } from "@grpc/proto-loader"
import { fileURLToPath } from "node:url"
import { announce } from "./announce.ts"

const definition = loadSync(fileURLToPath(new URL("../../proto/helloworld/v1/greeter.proto", import.meta.url)), {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true
})
const service = definition["helloworld.v1.Greeter"] as grpc.ServiceDefinition // the loader's map holds messages too

const sayHello: grpc.handleUnaryCall<{ name: string }, { message: string }> = (call, callback) =>
  callback(null, { message: `Hello ${call.request.name}` })

const server = new grpc.Server()
server.addService(service, { sayHello })
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error
  announce(port)
})
