/**
 * Where a request really came from, behind proxies: `X-Forwarded-For`, `-Proto`, `-Host`, and `Forwarded` (RFC 7239). Anybody can send such fields, so they
 * count only as far as the proxies that wrote them are trusted: a number of them, or their networks. A connection by a Unix socket is trusted then.
 *
 * Of the two kinds of fields one is read: a proxy that writes the one passes the other on as the client sent it.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as net from "node:net"
import { format } from "../Network.ts"
import type { Origin } from "../Origin.ts"

/** How many proxies are in front, or the networks they are in: `10.0.0.0/8`, `192.168.1.5`, `fd00::/8`. */
export type Proxies = number | ReadonlyArray<string>

export interface Options {
  readonly proxies: Proxies
  /** What the proxies write. Default `x-forwarded`. */
  readonly fields?: "x-forwarded" | "forwarded" | undefined
}

/** What was given for the proxies is neither a number of them nor a list of networks. */
export class TrustProxyError extends Schema.TaggedError<TrustProxyError>("@effect-kratos/transport/http/TrustProxyError")(
  "TrustProxyError",
  {
    message: Schema.String
  }
) {}

/** What a request says that its connection does not. */
export type Resolve = (origin: Origin, fields: ReadonlyArray<string>) => Origin

interface Hop {
  readonly address: string
  readonly scheme: string | undefined
  readonly host: string | undefined
}

/** Hops of a request that are looked at, from the nearest on. */
const MAX_HOPS = 32

export const make = (trustProxy: Proxies | Options): Result.Result<Resolve, TrustProxyError> => {
  const { fields: kind = "x-forwarded", proxies }: Options = isOptions(trustProxy) ? trustProxy : { proxies: trustProxy }
  const trusts = typeof proxies === "number" ? byNumber(proxies) : byNetwork(proxies)
  if (Result.isFailure(trusts)) return Result.fail(trusts.failure)
  const trusted = trusts.success
  const read = kind === "forwarded" ? readForwarded : readXForwarded

  return Result.succeed((origin, fields) => {
    if (!trusted(hostOf(origin.address), 0)) return origin
    const hops = read(fields)
    let found: Hop | undefined
    for (let distance = 1; distance <= Math.min(hops.length, MAX_HOPS); distance++) {
      const hop = hops[hops.length - distance]!
      const host = hostOf(hop.address)
      // what hides behind a name of its own is not to be found, nor is what lies behind it
      if (net.isIP(host) === 0) break
      found = hop
      if (!trusted(host, distance)) break
    }
    if (found === undefined) return origin
    return {
      ...origin,
      address: found.address,
      ...(found.scheme === undefined ? undefined : { scheme: found.scheme }),
      ...(found.host === undefined ? undefined : { host: found.host })
    }
  })
}

const isOptions = (value: Proxies | Options): value is Options => typeof value === "object" && "proxies" in value

type Trusts = (host: string, distance: number) => boolean

const byNumber = (proxies: number): Result.Result<Trusts, TrustProxyError> =>
  Number.isInteger(proxies) && proxies > 0
    ? Result.succeed((_, distance) => distance < proxies)
    : Result.fail(new TrustProxyError({ message: `the number of proxies is ${proxies}` }))

const byNetwork = (networks: ReadonlyArray<string>): Result.Result<Trusts, TrustProxyError> => {
  const list = new net.BlockList()
  for (const network of networks) {
    const [, address = "", bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(network) ?? []
    const version = net.isIP(address)
    const longest = version === 4 ? 32 : 128
    const length = bits === undefined ? longest : Number(bits)
    if (version === 0 || length > longest) return Result.fail(new TrustProxyError({ message: `${JSON.stringify(network)} is no network` }))
    list.addSubnet(address, length, version === 4 ? "ipv4" : "ipv6")
  }
  return Result.succeed((host) => {
    const version = net.isIP(host)
    return version === 0 ? host === "unix" : list.check(host, version === 4 ? "ipv4" : "ipv6")
  })
}

/** The host of `host:port`, without brackets. */
const hostOf = (address: string): string => {
  if (address.startsWith("[")) return address.slice(1, address.indexOf("]"))
  const colon = address.indexOf(":")
  return colon < 0 || address.indexOf(":", colon + 1) >= 0 ? address : address.slice(0, colon)
}

const valuesOf = (fields: ReadonlyArray<string>, name: string): string => {
  let joined = ""
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) joined += joined === "" ? fields[i + 1]! : `,${fields[i + 1]!}`
  return joined
}

const schemeOf = (text: string | undefined): string | undefined =>
  text !== undefined && /^https?$/i.test(text) ? text.toLowerCase() : undefined
const authorityOf = (text: string | undefined): string | undefined =>
  text !== undefined && /^(?:[\w.-]{1,253}|\[[\da-f:.]{2,45}\])(?::\d{1,5})?$/i.test(text) ? text : undefined

/** An address with its port, if it is one: `1.2.3.4:80`, `::1`, `[::1]:80`. */
const addressOf = (text: string): string => {
  const [, bracketed, plain, port] = /^(?:\[([\da-f:.]{2,45})\]|([^:[\]]+))(?::(\d{1,5}))?$/i.exec(text) ?? []
  const host = bracketed ?? plain ?? text
  if (net.isIP(host) === 0) return ""
  if (port !== undefined) return format(host, Number(port))
  return net.isIPv6(host) ? `[${host}]` : host
}

const readXForwarded = (fields: ReadonlyArray<string>): ReadonlyArray<Hop> => {
  const list = (name: string): ReadonlyArray<string> => {
    const text = valuesOf(fields, name)
    return text === "" ? [] : text.split(",").map((part) => part.trim())
  }
  const addresses = list("x-forwarded-for")
  const schemes = list("x-forwarded-proto")
  const hosts = list("x-forwarded-host")
  // some proxies add to these as they do to the addresses, others say once what the client asked for
  const nth = (values: ReadonlyArray<string>, index: number): string | undefined =>
    values.length === addresses.length ? values[index] : values.at(-1)
  return addresses.map((address, index) => ({
    address: addressOf(address),
    scheme: schemeOf(nth(schemes, index)),
    host: authorityOf(nth(hosts, index))
  }))
}

const pair = /[ \t]*([\w!#$%&'*+.^`|~-]+)=(?:([\w!#$%&'*+.^`|~-]+)|"((?:[^"\\]|\\.)*)")[ \t]*([;,]|$)/y

/** Malformed fields say nothing. */
const readForwarded = (fields: ReadonlyArray<string>): ReadonlyArray<Hop> => {
  const text = valuesOf(fields, "forwarded")
  const hops: Array<Hop> = []
  let current: Record<string, string> = {}
  pair.lastIndex = 0
  while (pair.lastIndex < text.length) {
    const match = pair.exec(text)
    if (match === null) return []
    const [, name = "", token, quoted = "", end] = match
    current[name.toLowerCase()] = token ?? quoted.replaceAll(/\\(.)/g, "$1")
    if (end === ";") continue
    hops.push({ address: addressOf(current["for"] ?? ""), scheme: schemeOf(current["proto"]), host: authorityOf(current["host"]) })
    current = {}
  }
  return hops
}
