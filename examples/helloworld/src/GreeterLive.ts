/** The greeter's behaviour: says hello to everybody but to those whom nobody knows. */
import { UserNotFound } from "./gen/helloworld/v1/error_reason_effect.ts"
import { Greeter } from "./gen/helloworld/v1/greeter_effect.ts"

export const GreeterLive = Greeter.layer({
  *sayHello(request) {
    if (request.name === "nobody") {
      return yield* new UserNotFound({ message: `user ${request.name} was not found`, metadata: { name: request.name } })
    }
    return { message: `Hello ${request.name}` }
  }
})
