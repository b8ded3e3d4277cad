/**
 * Cross-origin requests of browsers (fetch.spec.whatwg.org, "HTTP-cors protocol"): answers preflights on every path and marks the replies to the
 * origins that may read them. What gRPC-Web, Connect and REST send and read is allowed by itself.
 */
import * as Duration from "effect/Duration"
import { EMPTY, type HttpExchange } from "./HttpExchange.ts"

export interface Options {
  /** The origins that may call, as browsers send them: `https://app.example.org`; `"*"` for all. */
  readonly origins: ReadonlyArray<string> | "*"
  /** Request headers to allow besides those of the protocols, `authorization` and `x-md-…`. */
  readonly headers?: ReadonlyArray<string> | undefined
  /** Reply headers to show besides those of the protocols. Without credentials all are shown. */
  readonly exposedHeaders?: ReadonlyArray<string> | undefined
  /** Lets requests carry cookies and client certificates. Needs a list of origins. Default false. */
  readonly credentials?: boolean | undefined
  /** How long a browser may remember a preflight. Default 2 hours. */
  readonly maxAge?: Duration.Input | undefined
}

const METHODS = "DELETE, GET, HEAD, PATCH, POST, PUT"

const ALLOWED = [
  "accept",
  "accept-language",
  "authorization",
  "connect-accept-encoding",
  "connect-content-encoding",
  "connect-protocol-version",
  "connect-timeout-ms",
  "content-encoding",
  "content-language",
  "content-type",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-timeout",
  "traceparent",
  "tracestate",
  "x-grpc-web",
  "x-request-id",
  "x-timeout-ms",
  "x-user-agent"
]

const EXPOSED = [
  "connect-content-encoding",
  "content-encoding",
  "grpc-encoding",
  "grpc-message",
  "grpc-status",
  "grpc-status-details-bin",
  "x-request-id"
]

/** Returns true for an exchange that it has answered: a preflight. Others it marks and leaves. */
export const make = (options: Options): ((exchange: HttpExchange) => boolean) => {
  const { credentials = false, exposedHeaders = [], headers = [], maxAge = "2 hours", origins } = options
  // browsers reject the star for requests with credentials, and to reflect any origin would give every page the user's cookies
  const withCredentials = credentials && origins !== "*"
  const known = new Set(origins === "*" ? [] : origins)
  const allowed = new Set([...ALLOWED, ...headers.map((name) => name.toLowerCase())])
  const exposed = [...(withCredentials ? [] : ["*"]), ...EXPOSED, ...exposedHeaders].join(", ")
  const age = String(Math.max(0, Math.floor(Duration.toSeconds(maxAge))))

  const origin = (exchange: HttpExchange): string | undefined => {
    if (origins === "*") return "*"
    const value = exchange.header("origin")
    return value !== undefined && known.has(value) ? value : undefined
  }

  return (exchange) => {
    const asked = exchange.header("origin") !== undefined
    // caches must keep apart what depends on the origin
    if (origins !== "*") exchange.addFields([["vary", "origin"]])
    if (!asked) return false
    const found = origin(exchange)
    if (found !== undefined) {
      exchange.addFields([
        ["access-control-allow-origin", found],
        ...(withCredentials ? [["access-control-allow-credentials", "true"] as const] : [])
      ])
    }
    if (exchange.method !== "OPTIONS" || exchange.header("access-control-request-method") === undefined) {
      if (found !== undefined) exchange.addFields([["access-control-expose-headers", exposed]])
      return false
    }
    const wanted = (exchange.header("access-control-request-headers") ?? "")
      .toLowerCase()
      .split(",", MAX_HEADERS)
      .map((name) => name.trim())
      .filter((name) => allowed.has(name) || /^x-md-[a-z0-9-]{1,64}$/.test(name))
    exchange.respond(
      204,
      found === undefined
        ? []
        : [
            ["access-control-allow-methods", METHODS],
            ...(wanted.length === 0 ? [] : [["access-control-allow-headers", wanted.join(", ")] as const]),
            ["access-control-max-age", age]
          ],
      EMPTY
    )
    return true
  }
}

const MAX_HEADERS = 100
