/** A port for Prometheus alone, as `OTEL_METRICS_EXPORTER=prometheus` asks for. A program with a server of ours has `Server.layer({ metrics: true })`, too. */
import * as Prometheus from "@effect-kratos/core/metric/Prometheus"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as http from "node:http"
import type { Address } from "./Settings.ts"
import { TelemetryError } from "./TelemetryError.ts"

/** Serves `/metrics` until the scope closes. */
export const layer = (address: Address): Layer.Layer<never, TelemetryError> =>
  Layer.effectDiscard(
    Effect.acquireRelease(
      Effect.flatMap(Effect.context<never>(), (services) =>
        Effect.callback<http.Server, TelemetryError>((resume) => {
          const server = http.createServer({ maxHeaderSize: 8192, requestTimeout: 10_000 }, (request, response) => {
            const [path] = (request.url ?? "").split("?", 1)
            if (path !== "/metrics" || (request.method !== "GET" && request.method !== "HEAD")) return void response.writeHead(404).end()
            const format = Prometheus.negotiate(request.headers.accept)
            response.writeHead(200, { "content-type": Prometheus.contentType[format] }).end(Prometheus.format(services, { format }))
          })
          server.maxConnections = 100
          server.once("error", (cause: NodeJS.ErrnoException) =>
            resume(
              Effect.fail(
                new TelemetryError({
                  variable: "OTEL_EXPORTER_PROMETHEUS_PORT",
                  message: `cannot listen at ${address.host}:${address.port}: ${cause.code}`
                })
              )
            )
          )
          server.listen(address, () => resume(Effect.succeed(server)))
        })
      ),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    )
  )
