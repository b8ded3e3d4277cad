/**
 * One address of an instance as registries hold it: `scheme://host:port`. The scheme says which transport answers there and whether it
 * speaks TLS; clients choose by exact scheme. A path or a query after the port is read over, as older services wrote `?isSecure=true`.
 */
import * as Option from "effect/Option"

export type Scheme = "http" | "https" | "grpc" | "grpcs"

export interface Endpoint {
  readonly scheme: Scheme
  /** A host name, an IPv4 address, or an IPv6 address without brackets; lower case. */
  readonly host: string
  /** 1–65535. */
  readonly port: number
}

/** Longer texts are not parsed: a host name has at most 253 characters. */
const maxLength = 1024

// An IPv6 zone is written `%25eth0` inside a URL.
const pattern = /^([a-z]+):\/\/(?:\[([0-9a-f:.]+(?:%25[\w.~-]+)?)\]|([^\s\p{Cc}/?#:@[\]\\]+))(?::(\d{1,5}))?(?:[/?#].*)?$/iu

/** Creates an endpoint; takes an IPv6 host with or without brackets. */
export const make = (scheme: Scheme, host: string, port: number): Endpoint => ({
  scheme,
  host: (host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host).toLowerCase(),
  port
})

/** Parses `scheme://host:port`. A missing port is 80 for `http` and 443 for `https`; the gRPC schemes have no default. */
export const parse = (text: string): Option.Option<Endpoint> => {
  const match = text.length > maxLength ? null : pattern.exec(text)
  if (match === null) return Option.none()
  const scheme = match[1]!.toLowerCase()
  if (!isScheme(scheme)) return Option.none()
  const v6 = match[2]
  if (v6 !== undefined && v6.split(":").length < 3) return Option.none()
  const host = v6?.replace("%25", "%") ?? match[3]!
  const port = match[4] === undefined ? defaultPort(scheme) : Number(match[4])
  return port >= 1 && port <= 65535 ? Option.some(make(scheme, host, port)) : Option.none()
}

/** The text that registries hold; `parse` reads it back. */
export const format = (self: Endpoint): string => `${self.scheme}://${authority(self)}`

/** `host:port`, with brackets around IPv6: what a client dials. */
export const authority = (self: Endpoint): string =>
  self.host.includes(":") ? `[${self.host.replace("%", "%25")}]:${self.port}` : `${self.host}:${self.port}`

/** True when clients reach it over TLS. */
export const isSecure = (self: Endpoint): boolean => self.scheme === "https" || self.scheme === "grpcs"

export const equals = (self: Endpoint, that: Endpoint): boolean =>
  self.scheme === that.scheme && self.host === that.host && self.port === that.port

const isScheme = (text: string): text is Scheme => text === "http" || text === "https" || text === "grpc" || text === "grpcs"

const defaultPort = (scheme: Scheme): number => (scheme === "http" ? 80 : scheme === "https" ? 443 : 0)
