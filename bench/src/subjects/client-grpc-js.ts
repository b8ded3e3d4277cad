/** The client of @grpc/grpc-js as its guide shows it. */
import * as grpc from "@grpc/grpc-js"
import { port, serve } from "./caller.ts"
import { load } from "./grpc-definition.ts"

const Client = grpc.makeGenericClientConstructor(load("helloworld/v1/greeter.proto", "helloworld.v1.Greeter"), "Greeter")
const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure())
// made from the definition at run time, so its type knows no methods
const sayHello = client["sayHello"] as (
  request: { name: string },
  done: (error: grpc.ServiceError | null, reply?: { message: string }) => void
) => void

serve((inFlight, run) => {
  const call = () => {
    sayHello.call(client, { name: "kratos" }, (error, reply) => {
      if (error !== null) return run.failed(error)
      run.answered(reply?.message)
      if (run.going()) call()
    })
  }
  for (let i = 0; i < inFlight; i++) call()
})
