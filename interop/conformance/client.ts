/**
 * The client that the Connect conformance suite tests: it is told on standard input which calls to make, and says on standard output what became of each, in
 * the order in which they end.
 */
import { create } from "@bufbuild/protobuf"
import * as Effect from "effect/Effect"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Stream from "effect/Stream"
import * as ClientCall from "./ClientCall.ts"
import * as Clients from "./Clients.ts"
import * as Delimited from "./Delimited.ts"
import {
  ClientCompatRequestSchema,
  type ClientCompatResponse,
  ClientCompatResponseSchema
} from "./gen/connectrpc/conformance/v1/client_compat_pb.ts"

/** As many calls at a time as two cores take. */
const CONCURRENCY = 4

const main = Effect.gen(function* () {
  const clientOf = yield* Clients.make
  yield* Stream.fromAsyncIterable(Delimited.read(ClientCompatRequestSchema), (cause) => cause).pipe(
    Stream.mapEffect(
      (request) =>
        Effect.flatMap(clientOf(request), (client) => ClientCall.run(request, client)).pipe(
          Effect.map((response): ClientCompatResponse["result"] => ({ case: "response", value: response })),
          // what is no outcome of a call
          Effect.catchCause((cause) =>
            Effect.succeed<ClientCompatResponse["result"]>({
              case: "error",
              value: { $typeName: "connectrpc.conformance.v1.ClientErrorResult", message: String(cause) }
            })
          ),
          Effect.map((result) =>
            Delimited.write(ClientCompatResponseSchema, create(ClientCompatResponseSchema, { testName: request.testName, result }))
          )
        ),
      { concurrency: CONCURRENCY, unordered: true }
    ),
    Stream.runDrain
  )
}).pipe(Effect.scoped)

NodeRuntime.runMain(main)
