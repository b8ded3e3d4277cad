/** Each call with a limit of two seconds, as Kratos' clients have it. */
import * as Timeout from "@effect-kratos/core/aspect/Timeout"
import { main } from "./greeter-calls.ts"

main(Timeout.client)
