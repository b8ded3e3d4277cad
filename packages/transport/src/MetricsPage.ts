/** Serves the metrics of a program to Prometheus, in the form that it asks for: OpenMetrics, with exemplars, or the older text. */
import * as Prometheus from "@effect-kratos/core/metric/Prometheus"
import type * as Context from "effect/Context"
import type { HttpExchange } from "./http/HttpExchange.ts"

export interface Options {
  /** Where the page is. Default `/metrics`. */
  readonly path?: string | undefined
  /** Put before the names of all metrics. */
  readonly prefix?: string | undefined
}

/** Answers GET and HEAD of the path from the registry that `services` hold; false for any other exchange. */
export const make =
  (services: Context.Context<never>, options: Options): ((exchange: HttpExchange) => boolean) =>
  (exchange) => {
    if (exchange.method !== "GET" && exchange.method !== "HEAD") return false
    const mark = exchange.target.indexOf("?")
    if ((mark < 0 ? exchange.target : exchange.target.slice(0, mark)) !== (options.path ?? "/metrics")) return false
    const format = Prometheus.negotiate(exchange.header("accept"))
    const body = Buffer.from(Prometheus.format(services, { format, prefix: options.prefix }))
    exchange.respond(
      200,
      [
        ["content-type", Prometheus.contentType[format]],
        ["cache-control", "no-store"],
        ["vary", "accept"],
        ["content-length", String(body.length)]
      ],
      body
    )
    return true
  }
