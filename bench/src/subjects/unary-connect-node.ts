/** @connectrpc/connect-node as its guide shows it: protobuf-es messages, the adapter on a plain `node:http2` server. */
import { connectNodeAdapter } from "@connectrpc/connect-node"
import * as http2 from "node:http2"
import { Greeter } from "../gen/es/helloworld/v1/greeter_pb.ts"
import { announce } from "./announce.ts"
import { tls } from "./tls.ts"

const handler = connectNodeAdapter({
  routes: (router) => router.service(Greeter, { sayHello: (request) => ({ message: `Hello ${request.name}` }) })
})
const server = tls === undefined ? http2.createServer(handler) : http2.createSecureServer(tls, handler)
server.listen(0, "127.0.0.1", () => announce(server.address()))
