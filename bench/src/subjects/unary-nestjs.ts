/**
 * NestJS as a gRPC microservice, as its guide shows it. Decorators are applied by hand, because Node strips types and transforms no syntax; the
 * calls below are what a compiler makes of `@Controller()` and `@GrpcMethod()`.
 */
import "reflect-metadata"
import { Controller } from "@nestjs/common"
import { NestFactory } from "@nestjs/core"
import { GrpcMethod, type MicroserviceOptions, Transport } from "@nestjs/microservices"
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"
import { announce } from "./announce.ts"
import { credentials } from "./grpc-credentials.ts"

class Greeter {
  sayHello({ name }: { name: string }): { message: string } {
    return { message: `Hello ${name}` }
  }
}
Controller()(Greeter)
GrpcMethod("Greeter", "SayHello")(Greeter.prototype, "sayHello", Object.getOwnPropertyDescriptor(Greeter.prototype, "sayHello")!)

/** What NestJS calls a dynamic module: the same as a decorated class. */
const root = { module: Greeter, controllers: [Greeter] }

// the framework does not tell which port it has bound
const port = await new Promise<number>((resolve) => {
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const address = probe.address()
    probe.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0))
  })
})

const app = await NestFactory.createMicroservice<MicroserviceOptions>(root, {
  transport: Transport.GRPC,
  logger: false,
  options: {
    package: "helloworld.v1",
    protoPath: fileURLToPath(new URL("../../proto/helloworld/v1/greeter.proto", import.meta.url)),
    url: `127.0.0.1:${port}`,
    credentials
  }
})
await app.listen()
announce(port)
