/** @grpc/grpc-js as its guide shows it: a callback handler. */
import * as grpc from "@grpc/grpc-js"
import { announce } from "./announce.ts"
import { credentials } from "./grpc-credentials.ts"
import { load } from "./grpc-definition.ts"

const sayHello: grpc.handleUnaryCall<{ name: string }, { message: string }> = (call, callback) =>
  callback(null, { message: `Hello ${call.request.name}` })

const server = new grpc.Server()
server.addService(load("helloworld/v1/greeter.proto", "helloworld.v1.Greeter"), { sayHello })
server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
  if (error !== null) throw error
  announce(port)
})
