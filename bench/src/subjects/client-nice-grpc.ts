/** The client of nice-grpc as its readme shows it. */
import { createChannel, createClient } from "nice-grpc"
import { GreeterDefinition } from "../gen/ts-proto/helloworld/v1/greeter.ts"
import { port, servePromises } from "./caller.ts"

const client = createClient(GreeterDefinition, createChannel(`127.0.0.1:${port}`))

servePromises(() => client.sayHello({ name: "kratos" }))
