/**
 * Where a client's calls go: `discovery:///name`, `direct:///host:port,host:port`, `unix:///path`, or `host:port` alone, which means one direct
 * address. `grpcs://` and `https://` ask for TLS.
 */
import type { Address } from "./Network.ts"

export type Target =
  | { readonly _tag: "Discovery"; readonly name: string }
  | { readonly _tag: "Direct"; readonly addresses: ReadonlyArray<Address>; readonly secure: boolean }
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
  if (scheme === "unix") return { _tag: "Direct", addresses: [{ host: "localhost", port: 0, path: rest }], secure: false }
  if (scheme === "http" || scheme === "grpc") return direct(text, rest.replace(/\/$/, ""))
  if (scheme === "https" || scheme === "grpcs") return direct(text, rest.replace(/\/$/, ""), true)
  return invalid(text, `scheme ${scheme} is not known; use discovery:/// or direct:///`)
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
