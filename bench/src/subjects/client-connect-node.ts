/** The client of @connectrpc/connect-node as its guide shows it, over gRPC. */
import { createClient } from "@connectrpc/connect"
import { createGrpcTransport } from "@connectrpc/connect-node"
import { Greeter } from "../gen/es/helloworld/v1/greeter_pb.ts"
import { port, servePromises } from "./caller.ts"

const client = createClient(Greeter, createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` }))

servePromises(() => client.sayHello({ name: "kratos" }))
