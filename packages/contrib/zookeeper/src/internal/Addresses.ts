import * as Endpoint from "@effect-kratos/core/Endpoint"
import type { Address } from "@effect-kratos/transport/Network"
import * as Option from "effect/Option"

/** ZooKeeper's own port. */
const defaultPort = 2181

/** `host:port`, `host`, or the same with an IPv6 address in brackets. */
export const parse = (text: string): Address | undefined => {
  const whole = /:\d+$/.test(text.replace(/^\[[^\]]*\]/, "")) ? text : `${text}:${defaultPort}`
  return Option.getOrUndefined(Option.map(Endpoint.parse(`grpc://${whole}`), ({ host, port }) => ({ host, port })))
}
