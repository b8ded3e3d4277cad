/**
 * Where a client's calls go: `discovery:///name`, `dns:///host:port` (all addresses of the host), `dns:///_grpc._tcp.name` (SRV),
 * `direct:///host:port,host:port`, `unix:///path`, or `host:port` alone, which means one direct address. `grpcs://` and `https://` ask for TLS.
 */
import type * as Dns from "./Dns.ts"
import type { Address } from "./Network.ts"

export type Target =
  | { readonly _tag: "Discovery"; readonly name: string }
  | { readonly _tag: "Direct"; readonly addresses: ReadonlyArray<Address>; readonly secure: boolean }
  | { readonly _tag: "Dns"; readonly name: string; readonly question: Dns.Question }
  | { readonly _tag: "Invalid"; readonly message: string }

/** Parses a target. What cannot be parsed says why. */
export const parse = (text: string): Target => {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase()
  if (scheme === undefined) return direct(text, text)
  const rest = text.slice(scheme.length + 3)
  // the authority of a discovery or direct target is not used
  const path = rest.slice(rest.indexOf("/") + 1)
  if (scheme === "discovery") {
    return path === "" || !rest.includes("/")
      ? invalid(text, "a service name must follow discovery:///")
      : { _tag: "Discovery", name: decodeName(path) }
  }
  if (scheme === "direct") return rest.includes("/") ? direct(text, path) : invalid(text, "addresses must follow direct:///")
  if (scheme === "dns") {
    const found = rest.includes("/") ? direct(text, path) : invalid(text, "host:port must follow dns:///")
    if (found._tag !== "Direct") return path.startsWith("_") ? { _tag: "Dns", name: path, question: { srv: path } } : found
    const [address] = found.addresses
    return address === undefined || found.addresses.length > 1
      ? invalid(text, "one host:port must follow dns:///")
      : { _tag: "Dns", name: path, question: { host: address.host, port: address.port } }
  }
  if (scheme === "unix") return { _tag: "Direct", addresses: [{ host: "localhost", port: 0, path: rest }], secure: false }
  if (scheme === "http" || scheme === "grpc") return direct(text, rest.replace(/\/$/, ""))
  if (scheme === "https" || scheme === "grpcs") return direct(text, rest.replace(/\/$/, ""), true)
  return invalid(text, `scheme ${scheme} is not known; use discovery:///, dns:/// or direct:///`)
}

const invalid = (text: string, why: string): Target => ({ _tag: "Invalid", message: `target ${JSON.stringify(text)}: ${why}` })

const direct = (text: string, list: string, secure = false): Target => {
  const addresses: Array<Address> = []
  for (const part of list.split(",")) {
    const match = /^(?:\[([0-9a-f:.%]+)\]|([^\s:/?#[\]]+)):(\d{1,5})$/i.exec(part.trim())
    const port = Number(match?.[3])
    if (match === null || port < 1 || port > 65_535) return invalid(text, `${JSON.stringify(part)} is not host:port`)
    addresses.push({ host: match[1] ?? match[2]!, port })
  }
  return { _tag: "Direct", addresses, secure }
}

const decodeName = (path: string): string => {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
