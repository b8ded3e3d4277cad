/**
 * The server that the Connect conformance suite tests: it is told on standard input what to be, answers on standard output where it is, and serves until
 * it is sent SIGTERM.
 */
import { create } from "@bufbuild/protobuf"
import * as Server from "@effect-kratos/transport/Server"
import type * as Tls from "@effect-kratos/transport/Tls"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { ConformanceLive } from "./ConformanceLive.ts"
import * as Delimited from "./Delimited.ts"
import {
  ServerCompatRequestSchema,
  type ServerCompatRequest,
  ServerCompatResponseSchema
} from "./gen/connectrpc/conformance/v1/server_compat_pb.ts"
import { ConformanceService } from "./gen/connectrpc/conformance/v1/service_effect.ts"

const pem = (bytes: Uint8Array): Redacted.Redacted => Redacted.make(Buffer.from(bytes).toString())

const tlsOf = ({ clientTlsCert, serverCreds, useTls }: ServerCompatRequest): Tls.ServerOptions | undefined =>
  !useTls || serverCreds === undefined
    ? undefined
    : {
        cert: pem(serverCreds.cert),
        key: pem(serverCreds.key),
        ...(clientTlsCert.length === 0 ? undefined : { ca: pem(clientTlsCert), clientAuth: "require" })
      }

const serve = (request: ServerCompatRequest) =>
  Layer.effectDiscard(
    Server.Server.use(({ address }) =>
      Effect.sync(() =>
        Delimited.write(
          ServerCompatResponseSchema,
          create(ServerCompatResponseSchema, {
            host: "127.0.0.1",
            port: address.port,
            pemCert: request.serverCreds?.cert ?? new Uint8Array(0)
          })
        )
      )
    )
  ).pipe(
    Layer.provide(
      Server.layer({
        services: [ConformanceService],
        host: "127.0.0.1",
        port: 0,
        tls: tlsOf(request),
        drainTimeout: "1 second",
        ...(request.messageReceiveLimit === 0 ? undefined : { maxMessageBytes: request.messageReceiveLimit })
      })
    ),
    Layer.provide(ConformanceLive)
  )

const Main = Layer.unwrap(
  Effect.map(
    Effect.promise(() => Delimited.read(ServerCompatRequestSchema).next()),
    ({ value }) => (value === undefined ? Layer.empty : serve(value))
  )
)

// a runner that is killed sends no signal
const parent = process.ppid
setInterval(() => {
  if (process.ppid !== parent) process.exit(1)
}, 2000).unref()

NodeRuntime.runMain(Layer.launch(Main))
